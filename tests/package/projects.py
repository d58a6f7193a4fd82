"""A project from ``django-admin startproject``, with the README's lines in it, and its servers."""

import json
import re
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from tests.package.environments import Environment, wheel
from tests.package.readme import Lines
from tests.package.stopping import STACKS, stop
from tests.processes import Finished

SECONDS = 60
# The project's own: what its people see and do, so that a test asks the server, not the file alone.
GROUPS = """

def groups(request):
    from django.contrib.auth.models import Group
    from django.http import JsonResponse

    if request.method == "POST":
        Group.objects.create(name=request.POST["name"])
    return JsonResponse({"names": [group.name for group in Group.objects.order_by("id")]})


from django.views.decorators.csrf import csrf_exempt

urlpatterns += [path("groups", csrf_exempt(groups))]
"""
REMOTE = """
import os

BACKUPS_REMOTE_KEY = os.environ.get("BACKUPS_KEY", "")
"""
# Without --skip-atexit, uWSGI's workers run C's exit handlers in the handler of SIGINT. OpenSSL's
# frees memory, and so waits for ever if the signal came in the middle of a malloc().
COMMANDS = {
    "gunicorn": "gunicorn mysite.wsgi --bind {address} --workers 2 --threads 4",
    "uwsgi": "uwsgi --module mysite.wsgi --http-socket {address} --master --processes 2"
    " --threads 4 --need-app --die-on-term --skip-atexit",
    "uvicorn": "uvicorn mysite.asgi:application --host {host} --port {port}",
}


class Project:
    """``mysite``, as somebody has it who has followed the README."""

    def __init__(self, folder: Path, environment: Environment, key: str = "") -> None:
        self.folder = folder
        self.environment = environment
        self.key = key

    @classmethod
    def start(cls, folder: Path, environment: Environment) -> "Project":
        """A new one, without anything of ours, as it was before."""
        folder.mkdir()
        environment.run(folder, "django-admin", "startproject", "mysite", ".")
        project = cls(folder, environment)
        project.manage("migrate", "--verbosity", "0")
        project.append("urls.py", GROUPS)
        return project

    def copy(self, folder: Path) -> "Project":
        """The same once more, with its key."""
        shutil.copytree(self.folder, folder)
        return Project(folder, self.environment, self.key)

    def follow(self, lines: Lines) -> list[Finished]:
        """Do what the README says, line by line; what its commands print is returned."""
        self.append("settings.py", f"\n{lines.settings}\n{REMOTE}")
        self.append("urls.py", f"\n{lines.urls}\n")
        return [self.environment.run(self.folder, *command) for command in lines.commands]

    def append(self, name: str, text: str) -> None:
        """Add to the end of a file of the project."""
        with (self.folder / "mysite" / name).open("a") as file:
            file.write(text)

    def manage(self, *arguments: str, code: int | None = 0, **variables: str) -> Finished:
        """Run a management command."""
        return self.environment.run(
            self.folder, "python", "manage.py", *arguments, code=code, **variables
        )

    def rows(self) -> list[str]:
        """What is in the database file, read with SQLite itself."""
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return [
                name for (name,) in connection.execute("SELECT name FROM auth_group ORDER BY id")
            ]

    @contextmanager
    def serving(self, server: str) -> Iterator["Served"]:
        """Serve it on a free port, until the end of the block."""
        host, port = "127.0.0.1", _free_port()
        command = COMMANDS[server].format(host=host, port=port, address=f"{host}:{port}").split()
        log = self.folder / f"{server}.log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                [str(self.environment.bin / command[0]), *command[1:]],
                cwd=self.folder,
                env=self.environment.variables() | STACKS,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,  # a group of its own, to be killed as one
            )
        try:
            served = Served(f"http://{host}:{port}", self.key, process.pid)
            while not served.answers():
                _pause(process, log)
            yield served
        finally:
            stop(process, log)


class Served:
    """A server of the project, as its people reach it."""

    def __init__(self, url: str, key: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self._headers = {"X-Api-Key": key}

    def answers(self) -> bool:
        """Whether it serves the site already."""
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/groups", timeout=SECONDS).ok
        return False

    def add(self, name: str) -> None:
        """Somebody adds a row; it is committed when this returns."""
        requests.post(f"{self.url}/groups", {"name": name}, timeout=SECONDS).raise_for_status()

    def names(self) -> list[str]:
        """What somebody sees."""
        names: list[str] = requests.get(f"{self.url}/groups", timeout=SECONDS).json()["names"]
        return names

    def backup(self, folder: Path) -> Path:
        """Download a snapshot; the name is the server's."""
        answer = self._api("GET", "backup")
        named = re.fullmatch(
            r'attachment; filename="(mysite-backup-\d{8}-\d{6}\.db)"',
            answer.headers["Content-Disposition"],
        )
        assert named is not None
        path = folder / named[1]
        path.write_bytes(answer.content)
        return path

    def restore(self, snapshot: Path, *, now: bool = False) -> dict[str, Any]:
        """Upload one."""
        with snapshot.open("rb") as file:
            return self._json("POST", f"restore{'?apply=now' * now}", files={"file": file})

    def undo(self, *, now: bool = False) -> dict[str, Any]:
        """Ask for what the last restore replaced."""
        return self._json("POST", f"restore/undo{'?apply=now' * now}")

    def status(self) -> dict[str, Any]:
        """What is pending."""
        return self._json("GET", "restore")

    def _json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._api(method, path, **arguments).content)
        return answer

    def _api(self, method: str, path: str, **arguments: Any) -> requests.Response:
        answer = requests.request(
            method,
            f"{self.url}/api/v1/{path}",
            headers=self._headers,
            timeout=SECONDS,
            **arguments,
        )
        assert answer.ok, answer.text
        return answer


def install(environment: Environment, lines: Lines, folder: Path, *, extra: str = "") -> None:
    """
    The line of a page, with the wheel that was built in place of the name that it has on PyPI.

    :param extra: in place of the one that the line names.
    """
    named = lines.install[-1].removeprefix("django-restorable")
    built = f"{wheel()}{extra or named}"
    command = [*lines.install[:-1], built]
    assert lines.install[-1] == f"django-restorable{named}", lines.install
    environment.run(folder, *command)


def _pause(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Before the next try; the process ending first is a failure with its log."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.05)
        raise AssertionError(f"the server ended at once:\n{log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
