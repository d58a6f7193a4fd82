"""A check ends with whoever waits for it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest

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
    """Each process has something to do that does not end."""
    return builders.endless_to_check(builders.healthy(tmp_path / "endless.db"), tables=8)


@pytest.fixture
def waiting(endless: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that waits for that check."""
    question = json.dumps(asdict(Question(str(endless), 60.0, processes=3, shared_from=0)))
    with subprocess.Popen([sys.executable, "-c", WAITS, question], cwd=CHECKOUT) as process:
        yield process
        process.kill()


def test_check_ends_with_the_process_that_waits_for_it(
    waiting: "subprocess.Popen[bytes]", endless: Path
) -> None:
    """All of its processes, though none looks at a clock, nor who started it."""
    until(lambda: len(at_work(endless)) == 3)
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
