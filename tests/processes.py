"""Real processes of the site, each with a data folder of its own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.forked import Forked
from tests.postgres import of_folder

CHECKOUT = Path(__file__).resolve().parents[1]
START_SECONDS = 20.0  # plenty for a slow machine; a healthy start takes one or two


class Finished(NamedTuple):
    """What a command left: both streams and the exit code."""

    out: str
    err: str
    code: int


class Server(NamedTuple):
    """A gunicorn that listens, and the file that its standard error goes to."""

    url: str
    log: Path


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """Build an environment that says nothing of the site but what is given."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name == "TASKDOG_SQLITE" or not name.startswith(("TASKDOG_", "DJANGO_"))
        if name != "PORT"
    }
    ours = {
        "TASKDOG_DATA_DIR": str(data_dir),
        # No backup takes itself, unless a test is about that; those of commands go where those of
        # the tests' own process go.
        "TASKDOG_BACKUP_SCHEDULE": "off",
        "TASKDOG_BACKUP_STORAGE": str(data_dir / "tasks.db.backups"),
    }
    return inherited | ours | of_folder.variables(data_dir) | variables


def run_python(*arguments: str, data_dir: Path, **variables: str) -> Finished:
    """Run Python in the checkout until it ends."""
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=environment(data_dir, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Finished(ended.stdout, ended.stderr, ended.returncode)


def run_manage(*arguments: str, data_dir: Path, **variables: str) -> Finished:
    """Run a management command with the site's settings."""
    command = Forked(list(arguments), CHECKOUT, environment(data_dir, **variables))
    out, err, code = command.communicate(b"", seconds=60)
    return Finished(out.decode(), err.decode(), code)


def gunicorn_command() -> list[str]:
    """Name the command that serves the site: the script, since ``-m`` can't upgrade in place."""
    return [
        str(Path(sys.executable).with_name("gunicorn")),
        "--config",
        str(CHECKOUT / "taskdog/gunicorn.conf.py"),
    ]


@contextmanager
def running_server(data_dir: Path, log: Path, **variables: str) -> Iterator[Server]:
    """Serve the site on a free port, and stop it at the end."""
    port = _free_port()
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            gunicorn_command(),
            cwd=log.parent,  # it must not matter where it is started
            env=environment(data_dir, PORT=str(port), **variables),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        _wait_until_listening(process, port, log)
        yield Server(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Try the port until it opens; the process ending first is a failure with its log."""
    pause = 0.05
    for _ in range(int(START_SECONDS / pause)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"gunicorn ended at once:\n{log.read_text()}")
    raise AssertionError(f"gunicorn does not listen:\n{log.read_text()}")
