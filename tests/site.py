"""A whole site for one test: a data folder, its commands, its server, and an API key."""

import json
import os
import queue
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.postgres import of_folder
from tests.processes import Finished, environment, gunicorn_command, run_manage

START_SECONDS = 30.0  # a healthy start takes one


class Server:
    """A gunicorn of this site: its address, its log, and ways to end it."""

    def __init__(self, process: "subprocess.Popen[str]", key: str) -> None:
        self.process = process
        self.log: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self.wait_for_log(r"Listening at: (\S+)")[1]
        self.http = requests.Session()
        self.http.headers["X-Api-Key"] = key

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the log that matches; lines before it are skipped."""
        end = time.monotonic() + START_SECONDS  # in all: under load there is always another line
        while (line := self._next_line(end)) is not None:
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"the server has not said {pattern!r}:\n{''.join(self.log)}")

    def api(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Call the API with this site's key."""
        return self.http.request(method, f"{self.url}/api/v1/{path}", timeout=60, **arguments)

    def add_task(self, name: str) -> None:
        """Add a task; it is committed when this returns."""
        answer = self.api("POST", "tasks", json={"name": name})
        assert answer.status_code == 201, answer.text

    def task_names(self) -> list[str]:
        """The names of all tasks, by id."""
        return [task["name"] for task in self.api("GET", "tasks").json()["tasks"]]

    def worker_pids(self) -> list[int]:
        """Every worker that was ever started; gunicorn's log names them."""
        return [
            int(pid) for pid in re.findall(r"Booting worker with pid: (\d+)", "".join(self.log))
        ]

    def stop(self) -> None:
        """Stop as an operator does."""
        self.http.close()  # or gunicorn waits for the kept-alive connection, two seconds
        self.process.terminate()
        self._ended()

    def kill(self) -> None:
        """``kill -9`` all that is left of the tree at once: nobody gets to clean up."""
        if self._reader.is_alive():  # while somebody of it can still write to the log
            kill_group(self.process)
        self._ended()

    def _next_line(self, end: float) -> str | None:
        """The next line of the log; None when there is none until ``end``, or none any more."""
        with suppress(queue.Empty):
            return self._lines.get(timeout=max(0.0, end - time.monotonic()))
        return None

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _ended(self) -> None:
        self.process.wait(timeout=START_SECONDS)
        self._reader.join(timeout=START_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.http.close()


LEFT_BY_REQUESTS = (
    *("tasks.db-wal", "tasks.db-shm"),
    *("tasks.db.download-receipts.jsonl", "api_keys.json.used", "failed_logins"),
)


@dataclass
class Site:
    """A data folder of its own, migrated, with one API key that may do everything."""

    data: Path
    key: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        """The live database."""
        return self.data / "tasks.db"

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on the live database, wherever that is; the rows of its answer."""
        if of_folder.variables(self.data):
            with of_folder.connect(self.data) as connection:
                answer = connection.execute(statement)
                return answer.fetchall() if answer.description else []
        with closing(sqlite3.connect(self.database, timeout=0, isolation_level=None)) as file:
            return file.execute(statement).fetchall()

    def task_names(self) -> list[str]:
        """The tasks of the live database, once a file is known to be whole."""
        if of_folder.variables(self.data):
            return [name for (name,) in self.ask("SELECT name FROM tasks ORDER BY id")]
        return task_names(self.database)

    def manage(self, *arguments: str, **variables: str) -> Finished:
        """Run a management command."""
        return run_manage(*arguments, data_dir=self.data, **self.variables, **variables)

    @contextmanager
    def serving(self, *options: str, **variables: str) -> Iterator[Server]:
        """Serve the site with gunicorn on a free port; stopped at the end, if not before."""
        process = subprocess.Popen(
            [*gunicorn_command(), *options],
            env=environment(self.data, TASKDOG_BIND="127.0.0.1:0", **self.variables, **variables),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a group of its own, to be killed as one
        )
        try:
            server = Server(process, self.key)
        except BaseException:
            kill_group(process)
            process.communicate()
            raise
        try:
            yield server
        finally:
            end_prepared(self.data)
            if process.poll() is None:
                server.stop()
            server.kill()  # those who outlived their master, when a test has failed

    def files(self) -> dict[str, bytes]:
        """Every file of the folder with its bytes, to compare before and after."""
        found = sorted(path for path in self.data.iterdir() if path.is_file())
        return {path.name: path.read_bytes() for path in found}

    def names(self) -> set[str]:
        """The names in the folder, but for those of what a request alone can leave."""
        return {path.name for path in self.data.iterdir() if path.name not in LEFT_BY_REQUESTS}

    def kept(self) -> list[Path]:
        """The kept copies of old databases, oldest first."""
        return sorted(self.data.glob("tasks.db.pre-restore-*"))

    def stage(self, snapshot: Path) -> None:
        """Stage a snapshot by the command; it is pending when this returns."""
        staged = self.manage("restore_db", str(snapshot), "--yes")
        assert staged.code == 0, staged.err

    def conclusions(self) -> list[str]:
        """What came of restores, oldest first: each was applied, refused or blocked."""
        outcomes = [receipt["outcome"] for receipt in self.receipts()]
        return [outcome for outcome in outcomes if outcome in ("applied", "refused", "blocked")]

    def receipts(self) -> list[dict[str, Any]]:
        """What happened to restores, oldest first."""
        path = self.data / "tasks.db.restore-receipts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def end_prepared(data: Path) -> None:
    """
    ``kill -9`` the jobs of a site that wait for a person: nobody will decide any more, and each
    holds the server's log open.
    """
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is another user's
            words, variables = (place / "cmdline").read_bytes(), (place / "environ").read_bytes()
            is_ours = b"TASKDOG_DATA_DIR=%s\0" % os.fsencode(data) in variables
            if is_ours and b"job_child" in words and b'"source": {"kind"' in words:
                os.kill(int(place.name), signal.SIGKILL)


def kill_group(process: "subprocess.Popen[str]") -> None:
    """``kill -9`` a process that leads a group, and all that it has started and are left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def task_names(database: Path) -> list[str]:
    """The tasks of a database file, read with SQLite itself, once it is known to be whole."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [name for (name,) in connection.execute("SELECT name FROM tasks ORDER BY id")]


def make_site(data: Path) -> Site:
    """Migrate a new data folder and create its key. Takes a second: copy it where you can."""
    finished = run_manage("migrate", "--verbosity", "0", data_dir=data)
    assert finished.code == 0, finished.err
    finished = run_manage("create_api_key", "tester", data_dir=data)
    assert finished.code == 0, finished.err
    return Site(data, finished.out.strip())


def copy_site(site: Site, data: Path) -> Site:
    """A copy of a site that nobody has open."""
    shutil.copytree(site.data, data)
    of_folder.copy(site.data, data)
    return Site(data, site.key)
