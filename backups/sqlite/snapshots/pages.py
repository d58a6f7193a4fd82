"""
A consistent copy of a database while others write, straight from its own pages. In WAL mode it is
not copied to the disk first, so sending starts at once, whatever its size. In other modes it is
copied first, since otherwise writers would have to wait until everything is sent.

This is the server's side. A separate process (pages_child.py) reads the pages and sends them
through a pipe: it may open the live file, which a process with connections on it must not.

The copy is not compact: it has the free pages and the remains of deleted rows that the live file
has. Not every database can be copied this way: ``PagesNotPossibleError``.
"""

import contextlib
import fcntl
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from backups.disk.file_system import is_local, kind_of
from backups.exceptions import ChildNotStartedError, SnapshotFailedError
from backups.processes.spawn import command, environment, has_started, last_line
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.connection import uri
from backups.sqlite.format.rows import read_inventory
from backups.sqlite.snapshots.pipe import ANSWER_BYTES, PIPE_BYTES
from backups.store import Snapshot

CHUNK_BYTES = 1024 * 1024  # 1 MiB, all that the pipe holds: fewer reads, more speed
GRACE_SECONDS = 2.0  # for a process that has nothing left to do


class PagesNotPossibleError(Exception):
    """The pages of this database can't be read. The message says why; SQLite may still copy it."""


class PageSnapshot(Snapshot):
    """A snapshot that a separate process is sending."""

    method = "pages"

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        size: int,
        taken_at: datetime,
        locked_seconds: float = 0.0,
        counts: int | None = None,
    ) -> None:
        """
        Takes over the process, which has answered, and the pipe that its counts will come through.
        Writers waited for ``locked_seconds``.
        """
        self._counts = None if counts is None else io.FileIO(counts)
        self._process = process
        self._is_whole = False
        self.size = size
        self.taken_at = taken_at
        self.locked_seconds = locked_seconds

    def __iter__(self) -> Iterator[bytes]:
        """
        The bytes, in chunks of at most ``CHUNK_BYTES``.

        :raises SnapshotFailedError: the process ended too early; what was read is incomplete.
        """
        left = self.size
        while left:
            chunk = os.read(_number(self._process.stdout), min(CHUNK_BYTES, left))
            left -= len(chunk)
            # The process keeps the pages unchanged, so it must live until the last one is read.
            if not chunk or (not left and self._process.poll() is not None):
                raise SnapshotFailedError(f"The snapshot broke off: {_last_words(self._process)}.")
            yield chunk
        self._is_whole = True
        with contextlib.suppress(OSError):
            os.write(_number(self._process.stdin), b".")
        if self._counts is not None:
            self.inventory = read_inventory(self._counts.readall())

    def close(self) -> None:
        """
        Let the process end. If the whole snapshot was read, it still records what it has sent, and
        a thread waits for it; else this waits.
        """
        self._close_streams()
        if self._is_whole and self._process.poll() is None:
            threading.Thread(target=self._process.wait, daemon=True).start()
        else:
            _end(self._process)

    def abandon(self) -> None:
        self._close_streams()
        self._process.kill()
        self._process.wait()

    def _close_streams(self) -> None:
        process = self._process
        for stream in (process.stdin, process.stdout, process.stderr, self._counts):
            if stream is not None:
                stream.close()


def create_page_snapshot(
    paths: StorePaths,
    *,
    spool_after: float,
    stall_seconds: float,
    presence: int | None,
    floor: int = 0,
    count: bool = False,
) -> PageSnapshot:
    """
    Take the database as it is between two commits; in WAL mode writers continue, and do not wait.

    Nothing is written to the disk unless the reader is slow: then the rest goes to
    ``<db>.spool-<random>`` (0600), whose name is removed before the first byte is written. The WAL
    can't be restarted, and so grows, until everything is read or spooled.

    In other modes the whole database is copied to such a file before this returns, and writers
    wait for ``locked_seconds`` of that time.

    :param spool_after: seconds after which what the reader has not read yet is spooled.
    :param stall_seconds: a reader that reads nothing for so long is disconnected.
    :param presence: and ``floor``: as for ``create_snapshot``. The process inherits the presence.
    :param count: whether to count the rows of each table while they are sent.
    :raises PagesNotPossibleError: not for this database, or not now; nothing was changed.
    :raises SnapshotFailedError: the database is damaged, or not a database.
    """
    check_possible(paths)
    taken_at = datetime.now(UTC)
    counts, into = os.pipe() if count else (None, None)
    inherited = tuple(each for each in (presence, into) if each is not None)
    try:
        process = _start(paths, (spool_after, stall_seconds, floor, into or ""), inherited)
    except BaseException:
        if counts is not None:
            os.close(counts)
        raise
    finally:
        if into is not None:
            os.close(into)
    try:
        size, locked_seconds = _read_answer(process, paths)
    except BaseException:
        PageSnapshot(process, 0, taken_at, counts=counts).close()
        raise
    return PageSnapshot(process, size, taken_at, locked_seconds, counts)


def check_possible(paths: StorePaths) -> None:
    """
    Check that this is a system and a file system on which we know how SQLite works.

    :raises PagesNotPossibleError: it is not.
    """
    if sys.platform != "linux":
        raise PagesNotPossibleError(f"the system is {sys.platform}")
    if not is_local(paths.folder):
        raise PagesNotPossibleError(f"the file system is {kind_of(paths.folder)}")


def _start(
    paths: StorePaths, options: tuple[object, ...], inherited: tuple[int, ...]
) -> "subprocess.Popen[bytes]":
    arguments = [uri(paths.database), str(paths.database), *map(str, options)]
    try:
        process = subprocess.Popen(
            command("backups.sqlite.snapshots.pages_child", *arguments),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=inherited,
            start_new_session=True,  # so Ctrl-C reaches only us; the process ends when we do
        )
    except OSError as error:
        raise PagesNotPossibleError(f"no process could be started: {error.strerror}") from error
    except ChildNotStartedError as error:
        raise PagesNotPossibleError(str(error)) from error
    with contextlib.suppress(OSError):  # this user has too many pipes: it keeps its default size
        fcntl.fcntl(_number(process.stdout), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return process


def _read_answer(process: "subprocess.Popen[bytes]", paths: StorePaths) -> tuple[int, float]:
    """The size of the snapshot in bytes, and for how many seconds writers had to wait."""
    answer = b""
    if not has_started(process):
        raise PagesNotPossibleError(f"its process did not start its work: {_last_words(process)}")
    while len(answer) < ANSWER_BYTES:
        if not (part := os.read(_number(process.stdout), ANSWER_BYTES - len(answer))):
            raise PagesNotPossibleError(f"its process failed: {_last_words(process)}")
        answer += part
    verdict, _, text = answer.decode().strip().partition(" ")
    if verdict == "impossible":
        raise PagesNotPossibleError(text)
    if verdict == "damaged":
        raise SnapshotFailedError(f"SQLite could not take a snapshot of {paths.database}: {text}.")
    size, _, seconds = text.partition(" ")
    return int(size), float(seconds)


def _last_words(process: "subprocess.Popen[bytes]") -> str:
    assert process.stderr is not None
    _end(process)
    return last_line(process.stderr.read()) or "its process was killed"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process that has nothing left to do; kill it if it does not end."""
    try:
        process.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _number(stream: object) -> int:
    """The descriptor of one of the process's pipes."""
    number: int = stream.fileno()  # type: ignore[attr-defined]
    return number
