"""Servers in separate processes: the site, with gunicorn as it is configured, or others."""

import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stores import CHECKOUT, Store

START_SECONDS = 60.0
GUNICORN = Path(sys.executable).with_name("gunicorn")
LISTENS = r"Listening at: (\S+)"


@dataclass(frozen=True)
class Server:
    """Where it listens, the pid of its first process, the seconds until it listened, its log."""

    url: str
    pid: int
    start_seconds: float
    log: "Log"


class Log:
    """What a server prints, read at once so that the server never waits."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait_for(self, pattern: str) -> str:
        """
        Wait for the next line that matches, and return the first group.

        :raises RuntimeError: the server has ended, or no line matched within ``START_SECONDS``; the
            message has the log.
        """
        said, end = "", time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                line = self._lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                break
            if found := re.search(pattern, line):
                return found[1]
            if not line:
                raise RuntimeError(f"the server has ended:\n{said}")
            said += line
        raise RuntimeError(f"the server has not printed {pattern!r}:\n{said}")

    def close(self) -> None:
        """Read the rest. Call it after the server has ended."""
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put("")


@contextmanager
def serving(store: Store, **settings: str) -> Iterator[Server]:
    """
    Serve a store on a free port until the end of the block. Without more settings, no backup takes
    itself meanwhile.

    :raises RuntimeError: the server has ended before it listened; its log is told.
    """
    variables = {
        "DJANGO_SETTINGS_MODULE": "taskdog.settings",
        "TASKDOG_DATA_DIR": str(store.data),
        "TASKDOG_BIND": "127.0.0.1:0",
        "TASKDOG_BACKUP_SCHEDULE": "off",
        **settings,
    }
    command = (GUNICORN, "--config", "taskdog/gunicorn.conf.py")
    with running(command, LISTENS, variables) as server:
        yield server


@contextmanager
def serving_file(file: Path) -> Iterator[Server]:
    """
    Serve a file as ``/static-file`` until the end of the block: by gunicorn's own threaded worker.

    :param file: never a live database, since gunicorn opens and closes it.
    :raises RuntimeError: as ``serving``.
    """
    options = ("--bind=127.0.0.1:0", "--threads=4")
    command = (GUNICORN, *options, "benchmarks.static_site:application")
    with running(command, LISTENS, {"BENCHMARK_STATIC_FILE": str(file)}) as server:
        yield server


@contextmanager
def running(
    command: Sequence[str | Path], listens: str, variables: Mapping[str, str]
) -> Iterator[Server]:
    """
    Run a server until the end of the block, which begins when the server listens.

    :param listens: a pattern whose group is the URL.
    :raises RuntimeError: as ``Log.wait_for``.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = Log(process)
    try:
        url = log.wait_for(listens)
        yield Server(url, process.pid, time.perf_counter() - started, log)
    finally:
        process.terminate()
        process.wait()
        log.close()


def free_port() -> int:
    """A port of the loopback address on which no process listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
