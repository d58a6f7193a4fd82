"""End a check when the process that waits for it ends, even if that is killed."""

import signal
import sys
from contextlib import suppress

PR_SET_PDEATHSIG = 1


def end_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """
    Let the system end this process when the thread that started it ends.

    Call this before writing anything to that thread: if it has ended before, that write fails.
    Where the system does not support this, the time limits end the process.

    Source: prctl(2).
    """
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):  # some Pythons are built without
            import ctypes

            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, how, 0, 0, 0)
