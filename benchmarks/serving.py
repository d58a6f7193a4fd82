"""A server of the site: real gunicorn, with the site's own configuration and workers."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stores import CHECKOUT, Store


@dataclass(frozen=True)
class Server:
    """Where it listens, the master's pid, and how long it took from its start to listen."""

    url: str
    pid: int
    start_seconds: float


@contextmanager
def serving(store: Store, *, static_file: Path | None = None) -> Iterator[Server]:
    """
    Serve a store on a free port until the end of the block.

    :param static_file: what ``/static-file`` sends. Never the live database: to close it would
        drop the locks that SQLite has on it.
    :raises RuntimeError: the server has ended before it listened; its log is told.
    """
    variables = {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "TASKDOG_DATA_DIR": str(store.data),
        "TASKDOG_BIND": "127.0.0.1:0",
        "BENCHMARK_STATIC_FILE": str(static_file or ""),
    }
    started = time.perf_counter()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("gunicorn"), "--config", "taskdog/gunicorn.conf.py"],
        cwd=CHECKOUT,
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = _wait_until_it_listens(process)
        seconds = time.perf_counter() - started
        assert process.stderr is not None
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield Server(url, process.pid, seconds)
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_listens(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    log = ""
    for line in process.stderr:
        if match := re.search(r"Listening at: (\S+)", line):
            return match[1]
        log += line
    raise RuntimeError(f"the server has ended:\n{log}")
