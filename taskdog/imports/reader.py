"""The caller of ``reading_process``: starts it, asks it, and ends it."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any, Self

from backups.exceptions import ChildNotStartedError
from backups.processes.spawn import command, environment, has_started
from taskdog.imports.exceptions import UnusableSourceError

MOST_CHARACTERS = 10 * 1024**2  # of one value: a note of ten megabytes is none
MOST_BYTES = 64 * 1024**2 + 1024  # of a line; in JSON a letter can take six


class Reader:
    """A process that reads one database. It ends with the block, or with this process."""

    def __init__(self, copy: Path, path: Path, *, seconds: float) -> None:
        """
        Start it.

        :param copy: what it reads, and changes.
        :param path: what the file is called in errors.
        :param seconds: how long its check may take, and each answer.
        :raises OSError: no process can be started.
        """
        self._path, self._seconds, self._is_late = path, seconds, False
        self._process = subprocess.Popen(
            command(
                "taskdog.imports.reading_process", str(copy), str(seconds), str(MOST_CHARACTERS)
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

    def __enter__(self) -> Self:
        """
        Wait for the check.

        :raises UnusableSourceError: the database is damaged, or can't be read within the limits.
        """
        clock = Timer(self._seconds, self._stop)  # one call of a function can take for ever
        try:
            if not has_started(self._process):
                raise ChildNotStartedError("The process that reads the database did not start.")
            clock.start()
            for _ in self._answer():
                pass
        except BaseException:
            self.__exit__(None, None, None)
            raise
        finally:
            clock.cancel()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it at once, whatever it does."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()

    def ask(self, **question: object) -> Iterator[Any]:
        """
        Ask one question. Its answer must be taken to its end before the next is asked.

        :raises UnusableSourceError: the database can't be read on.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # then there is no answer, which says it
            self._process.stdin.write(f"{json.dumps(question)}\n".encode())
            self._process.stdin.flush()
        yield from self._answer()

    def _answer(self) -> Iterator[Any]:
        while True:
            word = self._word()
            if word is None:
                return
            if isinstance(word, str):
                raise UnusableSourceError(f"{self._path} {word}")
            yield word

    def _stop(self) -> None:
        self._is_late = True
        self._process.kill()

    def _word(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline(MOST_BYTES)
        try:
            return json.loads(line)
        except ValueError:  # it was ended in the middle, or has more to say than it may
            self._process.kill()
            ending = self._process.wait()
            if self._is_late or ending == -signal.SIGXCPU:
                how = f"was not read within {self._seconds:g} seconds."
            else:
                how = f"could not be read: the process that reads it ended with {ending}."
            raise UnusableSourceError(f"{self._path} {how}") from None
