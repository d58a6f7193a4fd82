"""
Fork this process, which must be a child of the site with one thread and no open database.

A fork has already imported all that it needs, and shares that memory. It ends with this process.
The two hold the ends of a pipe to which nobody ever writes. When this process closes its end, or
dies, the system sends a signal to the fork: SIGKILL on Linux, which ends a stopped process too,
elsewhere SIGIO. The signal of prctl(2) is not enough: Landlock stops it if this process has given
up the right to send signals, even when this process dies.

Source: fcntl(2), F_SETOWN, F_SETSIG and O_ASYNC.
"""

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Callable
from typing import NoReturn

_held: set[int] = set()  # this process's ends of pipes: a later fork must not keep them open


class Fork:
    """A fork of this process that does some work and answers with bytes."""

    def __init__(self, work: Callable[[], bytes], *, close: tuple[int, ...] = ()) -> None:
        """
        Start it.

        :param work: returns the answer. If it raises an error, the answer is empty.
        :param close: descriptors that the fork closes, so that readers of a pipe see its end.
        :raises OSError: the system can't start a process or open a pipe.
        """
        with contextlib.ExitStack() as on_error, contextlib.ExitStack() as of_the_fork:
            self._answers, answer = os.pipe()
            on_error.callback(os.close, self._answers)
            of_the_fork.callback(os.close, answer)
            life, self._life = os.pipe()
            on_error.callback(os.close, self._life)
            of_the_fork.callback(os.close, life)
            self._pid = os.fork()
            if self._pid == 0:
                _work(work, answer, life, (*_held, self._answers, self._life, *close))
            _held.update((self._answers, self._life))
            on_error.pop_all()

    def fileno(self) -> int:
        """A descriptor for poll(2): readable once the fork answers or has ended."""
        return self._answers

    def answer(self) -> bytes:
        """Wait for the answer; empty if the fork ended without one. Call it once."""
        with open(self._answers, "rb", closefd=False) as answers:
            return answers.read()

    def end(self) -> None:
        """End the fork, even in the middle of its work, and wait for its end."""
        for descriptor in (self._answers, self._life):
            _held.discard(descriptor)
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _work(work: Callable[[], bytes], answer: int, life: int, close: tuple[int, ...]) -> NoReturn:
    """In the fork."""
    code = 1
    try:
        for descriptor in close:
            os.close(descriptor)
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # a reader waits until no process holds them open
            os.dup2(nothing, standard)
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        if hasattr(fcntl, "F_SETSIG"):
            fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, fcntl.F_SETFL, os.O_ASYNC)
        if not select.select([life], [], [], 0)[0]:  # readable: the parent is already gone
            with open(answer, "wb") as answers:
                answers.write(work())
            code = 0
    finally:
        os._exit(code)
