"""What the answer of the child that checks, or its end, says about the file."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import pytest

from backups import exceptions
from backups.sqlite.checking import ask
from backups.sqlite.checking.messages import Verdict
from tests.backups import builders
from tests.backups.sqlite.checking.checked import check


def test_check_is_stopped_at_its_time_limit(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with pytest.raises(exceptions.CheckTimedOutError, match=r"within 0\.001 seconds"):
        check(path, seconds=0.001)


@contextmanager
def child_that(does: str) -> Iterator[None]:
    """Let the real child do this in place of its work."""
    program = f"import os, signal, sys; os.write(1, b'started\\n'); {does}"
    with mock.patch(
        "backups.processes.spawn.command", return_value=[sys.executable, "-c", program]
    ):
        yield


@pytest.mark.parametrize("crash", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_check_that_crashes_is_damage_and_not_a_crash_of_ours(crash: str, tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    number = signal.Signals[crash].value
    with (
        child_that(f"os.kill(os.getpid(), {number})"),
        pytest.raises(exceptions.DamagedSnapshotError, match=f"signal {number}"),
    ):
        check(path)


@pytest.mark.parametrize(
    ("does", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),  # what has no memory left does
        ("os.kill(os.getpid(), signal.SIGTERM)", "signal 15"),
        ("os.kill(os.getpid(), signal.SIGSYS)", "signal 31"),
        ("raise PermissionError('not here')", "exit code 1: PermissionError: not here"),
        ("", "exit code 0: it printed nothing"),  # an exit code that was lost
    ],
)
def test_check_that_the_machine_ended_is_no_fault_of_the_file(
    does: str, how: str, tmp_path: Path
) -> None:
    path = builders.healthy(tmp_path / "x.db")
    with child_that(does), pytest.raises(exceptions.ChildFailedError) as caught:
        check(path)
    assert str(caught.value) == (f"The check of {path} did not finish: it ended with {how}.")


def test_processor_time_that_the_machine_limits_is_told_as_that(tmp_path: Path) -> None:
    path, killed = builders.healthy(tmp_path / "x.db"), "os.kill(os.getpid(), signal.SIGXCPU)"
    with child_that(killed), pytest.raises(exceptions.CheckTimedOutError):
        check(path)
    with (
        child_that(killed),
        mock.patch("backups.processes.limits.processor_seconds", return_value=20),
        pytest.raises(exceptions.ChildFailedError, match=r"20 seconds of .*\(ulimit -t\)"),
    ):
        check(path)


def test_child_that_does_not_start_is_no_fault_of_the_file(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    before = builders.folder(tmp_path)
    program = [sys.executable, "-c", "import no_such_module"]
    with (
        mock.patch("backups.processes.spawn.command", return_value=program),
        pytest.raises(exceptions.ChildNotStartedError, match="No module named 'no_such_module'"),
    ):
        check(path)
    assert builders.folder(tmp_path) == before


def test_child_that_ended_itself_in_time_is_told_as_the_clock_is(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    late = json.dumps(asdict(Verdict(is_late=True, damage=["interrupted"]))).encode()
    answer = subprocess.CompletedProcess[bytes]([], 0, late, b"")
    with (
        mock.patch.object(ask, "run_module", return_value=answer),
        pytest.raises(exceptions.CheckTimedOutError, match="within 60 seconds"),
    ):
        check(path)


def test_verdict_counts_where_the_exit_code_was_lost(tmp_path: Path) -> None:
    """As it is for a child of gunicorn's master, which reaps whatever ends while it reloads."""
    path = builders.healthy(tmp_path / "x.db")
    reaper = threading.Event()
    wait = os.waitpid

    def lost(pid: int, options: int) -> tuple[int, int]:
        wait(pid, options)
        reaper.set()
        raise ChildProcessError

    with mock.patch("os.waitpid", lost), mock.patch.object(subprocess, "_USE_POSIX_SPAWN", False):
        assert check(path).migrations == builders.MIGRATIONS
    assert reaper.is_set()
