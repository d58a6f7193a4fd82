"""The other end of work.py: ask for a verb, and let strace see it done."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.crash.strace import Tracer
from tests.processes import CHECKOUT, environment


@dataclass(frozen=True)
class Ended:
    """How one verb ended."""

    code: int  # minus the signal that killed it, as in subprocess
    outcome: str | None  # None: it was killed before it could tell, or nothing was to be done
    reason: str = ""


class Worker:
    """A process of work.py, which forks one more for each verb."""

    def __init__(self) -> None:
        """Starts it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.work"],
            cwd=CHECKOUT,
            env=environment(CHECKOUT),  # of the site it says nothing; a verb knows its folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def run(
        self,
        verb: str,
        database: Path,
        *arguments: str,
        tracer: Tracer | None = None,
        python: Path | None = None,
    ) -> Ended:
        """
        Let one verb be done on this database, under strace if there is a tracer.

        :param python: what its children are run with, if not with Python itself.
        """
        self._say(
            {
                "verb": verb,
                "database": str(database),
                "arguments": arguments,
                "traced": tracer is not None,
                "python": str(python or sys.executable),
            }
        )
        pid = self._hear()["pid"]
        if tracer is None:
            return self._ended()
        with tracer.attached_to(pid):
            self._say({})
            return self._ended()

    def _ended(self) -> Ended:
        answer = self._hear()
        outcome = answer["outcome"] or {}
        return Ended(answer["code"], outcome.get("outcome"), outcome.get("reason", ""))

    def _say(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
