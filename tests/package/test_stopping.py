"""A server that does not end fails its own test, and leaves nothing to the next."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.stopping import STACKS, stop

pytestmark = pytest.mark.package

SERVER = """
import os, signal

def hang_at_the_end():
    os.write(1, b".")
    while True:
        signal.pause()

signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
hang_at_the_end()
"""


def test_server_that_hangs_is_killed_with_its_workers_and_tells_where(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=STACKS,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as output:
        assert [output.read(1), output.read(1)] == [b".", b"."], "both processes hang"
        with pytest.raises(AssertionError, match="did not end") as failure:
            stop(process, log, seconds=0)
        assert output.read() == b"", "no process has the pipe open"
    assert str(failure.value).count("in hang_at_the_end") == 2
