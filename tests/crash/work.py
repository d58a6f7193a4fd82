"""
The program under test: one verb on one data folder, in a process of its own, without Django.

``python -m tests.crash.work`` reads requests from stdin, a JSON object a line, and forks a
process for each. So a process costs a few milliseconds, has opened nothing, and makes the same
system calls each time, which is what lets a point be named by its number.

A request with ``"traced": true`` waits for a second line before it begins, so that strace can
attach. What came of it is sent by send(2), which no test lets fail.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from backups.exceptions import BackupError
from tests.backups.stores import Store

PR_SET_PTRACER = 0x59616D61  # prctl(2)
ANYBODY = ctypes.c_ulong(-1)

Outcome = dict[str, Any]


def start(store: Store) -> Outcome:
    """Sweep and apply, as each process of the site does before its first connection."""
    receipt = store.start()
    return {} if receipt is None else {"outcome": receipt.outcome, "reason": receipt.reason}


def stage(store: Store, snapshot: str) -> Outcome:
    """Stage a file."""
    return {"outcome": "staged", "sha256": store.stage(Path(snapshot)).sha256}


def discard(store: Store) -> Outcome:
    """Discard what is pending."""
    store.real.discard_pending_restore()
    return {"outcome": "discarded"}


VERBS: dict[str, Callable[..., Outcome]] = {"start": start, "stage": stage, "discard": discard}


def main() -> None:
    """Serve until stdin ends."""
    while request := sys.stdin.readline():
        _serve(json.loads(request))


def _serve(request: dict[str, Any]) -> None:
    """Fork, tell the pid, wait for the word to begin, and tell how it ended."""
    gate, ours, theirs = os.pipe(), *socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.close(gate[1])
        ours.close()
        _work(request, gate[0], theirs)
    theirs.close()
    os.close(gate[0])
    _tell({"pid": pid})
    if request["traced"]:
        sys.stdin.readline()
    os.close(gate[1])  # the word to begin
    with ours.makefile("rb") as outcome:
        told = outcome.read()
    ours.close()
    _, status = os.waitpid(pid, 0)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # children that it left must not go on
    _tell({"code": os.waitstatus_to_exitcode(status), "outcome": json.loads(told or b"null")})


def _work(request: dict[str, Any], gate: int, result: socket.socket) -> None:
    # Where only ancestors may trace (Yama), strace is none. Elsewhere this does nothing.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY)
    os.read(gate, 1)
    outcome: Outcome
    try:
        outcome = VERBS[request["verb"]](Store(Path(request["database"])), *request["arguments"])
    except BackupError as error:
        outcome = {"outcome": error.code, "reason": str(error)}
    except BaseException:
        outcome = {"outcome": "crashed", "reason": traceback.format_exc()}
    result.sendall(json.dumps(outcome).encode())
    os._exit(0)


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
