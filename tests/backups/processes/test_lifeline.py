"""A check ends with whoever waits for it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from backups.sqlite.checking import partner
from backups.sqlite.checking.messages import Question
from tests.backups import builders
from tests.backups.waiting import until
from tests.processes import CHECKOUT

WAITS = """
import sys
from backups.processes.spawn import run_module
run_module("backups.sqlite.checking.check_child", sys.argv[1])
"""


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Large enough for two processes, and each has something to do that does not end."""
    path = tmp_path / "endless.db"
    builders.healthy(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("CREATE TABLE ballast (a)")
        connection.execute("INSERT INTO ballast VALUES (zeroblob(?))", (partner.SHARED_FROM,))
        connection.commit()
    return builders.endless_to_check(path, tables=8)


@pytest.fixture
def waiting(endless: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that waits for that check."""
    question = json.dumps(asdict(Question(str(endless), 60.0)))
    with subprocess.Popen([sys.executable, "-c", WAITS, question], cwd=CHECKOUT) as process:
        yield process
        process.kill()


def test_check_ends_with_the_process_that_waits_for_it(
    waiting: "subprocess.Popen[bytes]", endless: Path
) -> None:
    """Both of its processes, though neither looks at a clock, nor who started it."""
    number = min(2, len(os.sched_getaffinity(0)))
    until(lambda: len(at_work(endless)) == number)
    waiting.send_signal(signal.SIGKILL)
    waiting.wait()
    until(lambda: not at_work(endless))


def at_work(path: Path) -> list[int]:
    """The processes that have this file open."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(link.readlink() == path for link in (folder / "fd").iterdir()):
                found.append(int(folder.name))
    return found
