"""
Fork this process, which must be one of our children: one thread, and no database open.

A fork has imported all it needs already, and shares that memory.
"""

import os
from collections.abc import Callable
from typing import NoReturn

from backups.processes.lifeline import end_with_parent


class Fork:
    """A fork of this process that does some work, and answers."""

    def __init__(self, work: Callable[[], bytes], *, close: tuple[int, ...] = ()) -> None:
        """
        Start it.

        :param work: returns the answer. An error in it is no answer.
        :param close: descriptors that the fork must not hold, so that the other end sees its end.
        :raises OSError: the system starts no process.
        """
        self._answers, answer = os.pipe()
        try:
            self.pid = os.fork()
        except OSError:
            os.close(self._answers)
            raise
        finally:
            if getattr(self, "pid", -1) == 0:
                _work(work, answer, (self._answers, *close))
            os.close(answer)

    def answer(self) -> bytes:
        """Wait for the answer: empty if it ended without one."""
        with open(os.dup(self._answers), "rb") as answers:
            return answers.read()

    def leave(self) -> None:
        """Wait no more. It ends after its work, or with this process, which may not kill it."""
        os.close(self._answers)


def _work(work: Callable[[], bytes], answer: int, close: tuple[int, ...]) -> NoReturn:
    """In the fork, which keeps nothing open by which somebody waits for the parent's end."""
    code = 1
    try:
        end_with_parent()
        for descriptor in close:
            os.close(descriptor)
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        with open(answer, "wb") as answers:
            answers.write(work())
        code = 0
    finally:
        os._exit(code)
