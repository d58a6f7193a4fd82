"""
Become another program, which then ends with whoever waits for it: ``main``, for a separate process.

The system remembers across execve(2) that a process is to end with its parent. To ask it for that
between fork and exec, as ``preexec_fn`` of ``subprocess`` can, is not safe where there are threads.
"""

import os
import signal
import sys

from backups.processes.lifeline import end_with_parent
from backups.processes.started import NOT_STARTED


def main(parent: str, *words: str) -> None:
    """
    Run the program that these words name.

    :param parent: the process that waits for it: if that has ended, this ends too.
    """
    end_with_parent(signal.SIGTERM)  # so that it says goodbye to a server
    if os.getppid() != int(parent):
        return
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python alone
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execv(words[0], words)  # noqa: S606
    except OSError as error:
        print(error.strerror, file=sys.stderr, flush=True)
        os._exit(NOT_STARTED)
