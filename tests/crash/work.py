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
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backups.disk import files
from backups.exceptions import BackupError
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.restores.apply_now_child import apply
from tests.backups.stores import Store, chunks

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
    store.real.discard_pending_restore(discarded_by="tester")
    return {"outcome": "discarded"}


def undo(store: Store) -> Outcome:
    """Stage what the last restore replaced."""
    return {"outcome": "staged", "sha256": store.real.stage_kept_copy(staged_by="tester").sha256}


def apply_now(store: Store) -> Outcome:
    """Apply while others go on. The work itself is done by a child."""
    store.real.hold_presence()
    return {"outcome": store.real.apply_now(applied_by="tester").outcome}


def overwrite(store: Store) -> Outcome:
    """What that child does, in this process; its parent's part is to hold the folder."""
    try:
        (manifest,) = store.paths.manifests()
        with files.exclusive_folder(store.paths.folder):
            return _overwrite(store, manifest.suffixes[-2].removeprefix("."))
    except OSError as error:
        return {"outcome": "blocked", "reason": files.explain(error, store.paths.folder)}


def _overwrite(store: Store, sha256: str) -> Outcome:
    verdict = apply(
        {
            "database": str(store.paths.database),
            "sha256": sha256,
            "seconds": store.live_seconds,
            "applied_by": "tester",
            "keeping": {"copies": store.kept_copies, "days": store.kept_days},
            "floor": 0,
        }
    )
    reason = verdict.get("error", "")
    return {"outcome": "blocked" if reason else "applied", "reason": reason}


# The real site, with Django and its migrations


def check(store: Store) -> Outcome:
    """``manage.py check``: it starts, and that is all."""
    _manage(store, "check")
    return {}


def restore_db(store: Store, snapshot: str) -> Outcome:
    """``manage.py restore_db``: stage a file."""
    _manage(store, "restore_db", snapshot, "--yes")
    return {"outcome": "staged"}


def backup(store: Store, snapshot: str) -> Outcome:
    """``manage.py backup``: a snapshot into a file."""
    _manage(store, "backup", "-o", snapshot, "--force")
    return {"outcome": "staged"}


def _manage(store: Store, *arguments: str) -> None:
    import manage

    os.environ["TASKDOG_DATA_DIR"] = str(store.paths.folder)
    sys.argv = ["manage.py", *arguments]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        manage.main()


# What a restore must not do, for the harness to find out


def move_in(store: Store) -> Outcome:
    """Remove the sidecars, and rename."""
    for sidecar in store.paths.sidecars:
        sidecar.unlink(missing_ok=True)
    os.replace(store.paths.pending, store.database)
    return {"outcome": "applied"}


def move_aside(store: Store) -> Outcome:
    """Keep everything, but by a rename, which leaves a moment without a database."""
    with closing(sqlite3.connect(store.database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    kept = store.paths.pre_restore(datetime.now(UTC))
    manifest = Manifest.read(*store.paths.manifests())
    assert manifest is not None
    replace(manifest, keeps=kept.name).write(store.paths)
    os.replace(store.database, kept)
    os.replace(store.paths.pending, store.database)
    return {"outcome": "applied"}


def stage_in_place(store: Store, snapshot: str) -> Outcome:
    """Write the pending file under its own name."""
    with store.paths.pending.open("wb", buffering=0) as pending:
        for chunk in chunks(Path(snapshot).read_bytes()):
            pending.write(chunk)
    return {"outcome": "staged"}


VERBS: dict[str, Callable[..., Outcome]] = {
    "start": start,
    "stage": stage,
    "discard": discard,
    "undo": undo,
    "apply now": apply_now,
    "overwrite": overwrite,
    "check": check,
    "restore_db": restore_db,
    "backup": backup,
    "move in": move_in,
    "move aside": move_aside,
    "stage in place": stage_in_place,
}


def main() -> None:
    """Serve until stdin ends."""
    while request := sys.stdin.readline():
        _serve(json.loads(request))


def _serve(request: dict[str, Any]) -> None:
    """Fork, tell the pid, wait for the word to begin, and tell how it ended."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        ours.close()
        _work(request, theirs)
    theirs.close()
    _tell({"pid": pid})
    if request["traced"]:
        sys.stdin.readline()
    ours.sendall(b"go")
    with ours, ours.makefile("rb") as outcome:
        told = outcome.read()
    _, status = os.waitpid(pid, 0)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # children that it left must not go on
    _tell({"code": os.waitstatus_to_exitcode(status), "outcome": json.loads(told or b"null")})


def _work(request: dict[str, Any], result: socket.socket) -> None:
    # Where only ancestors may trace (Yama), strace is none. Elsewhere this does nothing.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY)
    sys.executable = request["python"]
    result.recv(2)  # by recv(2) and not read(2), which is counted
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
