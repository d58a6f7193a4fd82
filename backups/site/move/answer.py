"""What the child tells while it works, and what it answers: lines of JSON."""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field

# Outcomes
DONE = "moved"
UNFIT = "unfit"  # PostgreSQL can't hold what is in the snapshot
FAILED = "failed"  # because of the snapshot: a migration, a difference
NO_MEMORY = "out of memory"
NO_FAULT = "no fault of the snapshot"  # the site's own code or this machine
SERVER = "the server"  # of PostgreSQL


@dataclass(frozen=True)
class Answer:
    """How it ended."""

    outcome: str
    rows: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    message: str = ""  # what was wrong, in sentences

    def written(self) -> str:
        return json.dumps(asdict(self))


def read_answer(text: str) -> Answer | None:
    """None if the child ended without one."""
    try:
        found = json.loads(text)
        return Answer(**found | {"warnings": tuple(found["warnings"])})
    except (KeyError, TypeError, ValueError):
        return None


class Progress:
    """The pipe through which the child tells how far it is. Neither end ever waits."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self.writing, False)
        self._rest = b""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._reading)
        os.close(self.writing)

    def pass_on(self, tell: Callable[[str, int, int | None], None]) -> None:
        """Tell what has come since the last call."""
        with suppress(BlockingIOError):
            while data := os.read(self._reading, 65536):
                self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            with suppress(ValueError):
                step, done, total = json.loads(line)
                tell(str(step), int(done), None if total is None else int(total))


def write_progress(descriptor: int, step: str, done: int, total: int | None) -> None:
    """In the child. If nobody reads it, it is lost."""
    with suppress(OSError):
        os.write(descriptor, json.dumps([step, done, total]).encode() + b"\n")
