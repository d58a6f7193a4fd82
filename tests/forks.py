"""Work in a process of its own, which may be killed."""

import os
import signal
import traceback
from collections.abc import Callable


def in_child(work: Callable[[], object]) -> int:
    """Do this in a fork. Returns its exit code; negative, the signal that has killed it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code <= 0, "the child failed; its traceback is above"
    return code


def is_killed(work: Callable[[], object]) -> bool:
    """Do this in a fork. Returns whether ``kill -9`` has ended it."""
    code = in_child(work)
    assert code in (0, -signal.SIGKILL)
    return code != 0
