"""
``kill -9`` of a process at any statement that it sends to the server, or at a step on a file.

A child does the work and kills itself: before the statement is sent, when it is sent and not yet
answered, or when its answer has come. Which statements there are, a run without a kill tells.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Any
from unittest import mock

import psycopg

from backups.disk import files
from tests.forks import in_child

BEFORE, SENT, AFTER = HOW = ("before", "sent", "answered")
ON_FILES = ("create_private", "write_all")
KILLED = -signal.SIGKILL
EVERY = "POSTGRES_KILLS" in os.environ  # takes half an hour for each version
# What has effect on its own. _exit_gen is psycopg's COMMIT.
DECIDES = ("CREATE", "DROP", "_exit")
CHANGES = (*DECIDES, "ALTER", "INSERT", "DELETE", "SELECT pg_terminate", *ON_FILES)


@dataclass(frozen=True)
class Moment:
    """
    The n-th statement that begins with these two words. It is found even where the process sends
    one of another kind more than before, e.g. as it cleans up after an earlier test.
    """

    begins: str
    number: int
    how: str

    def is_last_of(self, statements: list[str]) -> bool:
        """Whether the last of these is the one."""
        alike = [begin for words in statements if (begin := _begin(words)) == self.begins]
        return _begin(statements[-1]) == self.begins and len(alike) == self.number

    def __str__(self) -> str:
        return f"{self.how} the statement {self.number} of {self.begins!r}"


@dataclass
class Statements:
    """Note the statements of this process, and do something at one of them."""

    at: "Moment | None" = None  # never
    do: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGKILL)
    seen: list[str] = field(default_factory=list)

    def _reach(self, how: str) -> None:
        if self._is_at(how):
            self.do()

    def _is_at(self, how: str) -> bool:
        return self.at is not None and self.at.how == how and self.at.is_last_of(self.seen)

    def wait(
        self, connection: psycopg.Connection, work: "GeneratorType[Any, Any, Any]", **options: Any
    ) -> Any:
        """Instead of ``Connection.wait``, through which every statement goes."""
        if threading.current_thread() is not threading.main_thread():
            return _wait(connection, work, **options)  # it is at work as often as it has the time
        self.seen.append(_words(work))
        self._reach(BEFORE)
        if self._is_at(SENT):
            next(work)  # to its first wait: for the answer
            self.do()
            raise psycopg.OperationalError("the answer will not come")
        done = _wait(connection, work, **options)
        self._reach(AFTER)
        return done

    def wrap(self, name: str) -> Callable[..., Any]:
        """A step on a file, counted too."""
        step: Callable[..., Any] = getattr(files, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return step(*arguments, **options)
            self.seen.append(name)
            self._reach(BEFORE)
            self._reach(SENT)
            done = step(*arguments, **options)
            self._reach(AFTER)
            return done

        return counted

    @contextmanager
    def counted(self) -> Iterator[None]:
        """For the length of a block."""
        with ExitStack() as stack:
            wait = lambda connection, work, **options: self.wait(connection, work, **options)  # noqa: E731
            stack.enter_context(mock.patch.object(psycopg.Connection, "wait", wait))
            for name in ON_FILES:
                stack.enter_context(mock.patch.object(files, name, self.wrap(name)))
            yield


_wait = psycopg.Connection.wait


def _words(work: "GeneratorType[Any, Any, Any]") -> str:
    """The statement that a step of psycopg is about to send."""
    assert work.gi_frame
    query = work.gi_frame.f_locals.get("query", work.__name__)
    if isinstance(query, psycopg.sql.Composable):
        query = query.as_string(None)
    return " ".join((query.decode() if isinstance(query, bytes) else query).split())


def _begin(words: str) -> str:
    return " ".join(words.split()[:2])


def moments(statements: list[str]) -> list[Moment]:
    """
    Before each statement that changes something; and if it has effect on its own, when it is sent
    and when it is answered. What only reads leaves all as it was: a kill at it is one after what
    came before. With POSTGRES_KILLS in the environment that is tried too.
    """
    begins = [_begin(words) for words in statements]
    return [
        Moment(begin, begins[:number].count(begin), how)
        for number, (words, begin) in enumerate(zip(statements, begins, strict=True), 1)
        for how in HOW
        if EVERY or words.startswith(DECIDES if how != BEFORE else CHANGES)
    ]


def count(work: Callable[[], object]) -> list[str]:
    """The statements of this work, done in a child."""
    reader, writer = os.pipe()

    def child() -> None:
        statements = Statements()
        with statements.counted():
            work()
        os.write(writer, "\0".join(statements.seen).encode())

    with open(reader, encoding="utf-8") as said:
        assert in_child(child) == 0
        os.close(writer)
        return said.read().split("\0")


def kill_at(moment: Moment, work: Callable[[], object]) -> None:
    """Do the work in a child that is killed there."""

    def child() -> None:
        with Statements(moment).counted():
            work()

    assert in_child(child) == KILLED, f"it was not killed {moment}"
