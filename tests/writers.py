"""
People who add tasks while servers are restarted and killed, and keep every answer they got.

A task whose request was answered 201 is committed: it must be found afterwards, once. One whose
answer never came may be there or not.
"""

import http.client
import itertools
import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from tests.site import Server, Site

THREADS = 4
SECONDS = 60.0  # the longest that one answer may take; a healthy one takes some milliseconds


class Writers:
    """Threads that add one task after another, each on a connection of its own, until the end."""

    def __init__(self, site: Site) -> None:
        """They begin at ``write_to``."""
        self.acknowledged: dict[str, int | None] = {}  # name: id; None if the body was cut off
        self.unanswered: set[str] = set()
        self.refused: list[str] = []  # any other answer, which nobody should get
        self._headers = {"X-Api-Key": site.key, "Content-Type": "application/json"}
        self._changed = threading.Condition()
        self._url: str | None = None
        self._is_over = False
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(THREADS)
        ]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=SECONDS)
            assert not thread.is_alive()

    def write_to(self, server: Server) -> None:
        """From now on the tasks go to this server. When nobody listens there, they wait."""
        with self._changed:
            self._url = server.url
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        """Wait until so many more tasks are acknowledged."""
        with self._changed:
            goal = len(self.acknowledged) + number
            is_reached = self._changed.wait_for(
                lambda: len(self.acknowledged) >= goal or bool(self.refused), timeout=SECONDS
            )
        assert not self.refused, self.refused[:3]
        assert is_reached, f"{goal - len(self.acknowledged)} of {number} tasks were not answered"

    def _write(self, thread: int) -> None:
        unreachable = None
        for number in itertools.count():
            if (url := self._server_other_than(unreachable)) is None:
                return
            name, unreachable = f"task {thread}-{number}", None
            try:
                status, body = self._post(url, name)
            except ConnectionRefusedError:
                unreachable = url
            except (OSError, http.client.HTTPException):
                self.unanswered.add(name)
            else:
                self._keep(name, status, body)

    def _server_other_than(self, unreachable: str | None) -> str | None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_over or self._url not in (None, unreachable), timeout=None
            )
            return None if self._is_over else self._url

    def _post(self, url: str, name: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)) as server:
            body = json.dumps({"name": name})
            server.request("POST", "/api/v1/tasks", body, self._headers | {"Connection": "close"})
            answer = server.getresponse()
            try:
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException):
                return answer.status, b""

    def _keep(self, name: str, status: int, body: bytes) -> None:
        with self._changed:
            if status == http.HTTPStatus.CREATED:
                self.acknowledged[name] = json.loads(body)["id"] if body else None
            else:
                self.refused.append(f"{name}: {status} {body.decode('utf-8', 'replace')}")
            self._changed.notify_all()


def check_every_task_is_kept_once(
    site: Site, writers: Writers, *, old: list[str], new: list[str]
) -> None:
    """
    Every acknowledged task is in the live database or in a kept copy, in one of them, under the
    id of the answer; and no other task is there than those that were sent.

    Besides them the oldest of these databases has the tasks ``old``, and each later one has the
    tasks of the snapshot, ``new``: nothing of one is mixed into the next.
    """
    found: dict[str, list[int]] = {}
    databases = [*site.kept(), site.database]
    for database, others in zip(databases, [old, *[new] * len(site.kept())], strict=True):
        content = tasks(database)
        assert [name for _, name in content if not name.startswith("task ")] == others, database
        for number, name in content[len(others) :]:
            found.setdefault(name, []).append(number)
    lost = writers.acknowledged.keys() - found.keys()
    assert not lost, f"{len(lost)} of {len(writers.acknowledged)} are lost: {sorted(lost)[:10]}"
    assert not [name for name, numbers in found.items() if len(numbers) > 1]
    for name, answered in writers.acknowledged.items():
        assert answered in (None, *found[name]), name
    assert found.keys() <= writers.acknowledged.keys() | writers.unanswered
    assert not writers.refused, writers.refused[:3]


def tasks(database: Path) -> list[tuple[int, str]]:
    """The ids and names in a database file that nobody serves, once it is known to be whole."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], database
        return connection.execute("SELECT id, name FROM tasks ORDER BY id").fetchall()
