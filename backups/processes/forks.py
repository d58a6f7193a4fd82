"""
Fork this process, which must be one of our children: one thread, and no database open.

A fork has imported all that it needs, and shares that memory. It ends with this process: each has
an end of a pipe on which nothing is ever written, and the system sends a signal to the fork when
the other end is closed, by this process or by its death: SIGKILL on Linux, which ends a stopped
process too, elsewhere SIGIO. The signal that prctl(2) promises is not enough: Landlock keeps a
process that has given up signals from sending it, even when it dies.

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
    """A fork of this process that does some work, and answers."""

    def __init__(self, work: Callable[[], bytes], *, close: tuple[int, ...] = ()) -> None:
        """
        Start it.

        :param work: returns the answer. If it raises an error, there is none.
        :param close: descriptors that the fork must not hold, so that the other end sees its end.
        :raises OSError: the system starts no process.
        """
        self._answers, answer = os.pipe()
        life, self._life = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(self._answers)
            os.close(self._life)
            raise
        else:
            if self._pid == 0:
                _work(work, answer, life, (*_held, self._answers, self._life, *close))
            _held.update((self._answers, self._life))
        finally:
            os.close(answer)
            os.close(life)

    def answer(self) -> bytes:
        """Wait for the answer: empty if it has ended without one."""
        with open(self._answers, "rb", closefd=False) as answers:
            return answers.read()

    def end(self) -> None:
        """End it, whatever it does, and leave no zombie."""
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
        for standard in (0, 1, 2):  # somebody waits until nobody holds them open
            os.dup2(nothing, standard)
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        if hasattr(fcntl, "F_SETSIG"):
            fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, fcntl.F_SETFL, os.O_ASYNC)
        if not select.select([life], [], [], 0)[0]:  # else this process has lost its parent before
            with open(answer, "wb") as answers:
                answers.write(work())
            code = 0
    finally:
        os._exit(code)
