"""A whole site under more uploads than it has threads, each of a file whose check does not end."""

import shutil
import socket
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
import requests

from tests.backups import builders
from tests.backups.uploads import snapshot_of
from tests.backups.waiting import until
from tests.backups.wire import start_request
from tests.site import Server, Site, task_names

pytestmark = pytest.mark.proof

UPLOADS = 24
AT_ONCE = 2


def begin_upload(server: Server, content: bytes) -> HTTPConnection:
    """Send it all, and don't wait for the answer."""
    headers: dict[str, str | bytes] = {
        "X-Api-Key": str(server.http.headers["X-Api-Key"]),
        "Content-Type": "application/vnd.sqlite3",
        "Content-Length": str(len(content)),
    }
    connection = start_request(server.url, "POST", "/api/v1/restore", headers)
    with suppress(ConnectionError):  # it may be answered, and closed, before its end
        connection.send(content)
    return connection


def checks_of(site: Site) -> int:
    """How many processes check an upload of this site."""
    number = 0
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = cmdline.read_bytes().decode(errors="replace")
            number += "backups.sqlite.checking.check_child" in words and str(site.data) in words
    return number


def test_site_serves_while_hostile_uploads_come_and_their_checks_end_with_their_clients(
    site: Site, tmp_path: Path
) -> None:
    good = snapshot_of(site, tmp_path / "good.db", "restored")
    hostile = tmp_path / "endless.db"
    shutil.copyfile(good, hostile)
    content = builders.endless_to_check(hostile).read_bytes()
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        clients = [begin_upload(server, content) for _ in range(UPLOADS)]
        answers: list[int] = []
        waiting = [threading.Thread(target=read_answer, args=(each, answers)) for each in clients]
        for each in waiting:
            each.start()
        until(lambda: len(answers) == UPLOADS - AT_ONCE)
        until(lambda: checks_of(site) == AT_ONCE)
        assert requests.get(f"{server.url}/health", timeout=60).status_code == 200
        server.add_task("written meanwhile")
        (tmp_path / "taken.db").write_bytes(server.api("GET", "backup").content)
        assert checks_of(site) == AT_ONCE
        assert answers == [503] * (UPLOADS - AT_ONCE)
        for client in clients:
            with suppress(OSError, AttributeError):  # the refused ones are closed already
                client.sock.shutdown(socket.SHUT_RDWR)
            client.close()
        for each in waiting:
            each.join()
        until(lambda: checks_of(site) == 0)
        until(lambda: not list(site.data.glob("tasks.db.incoming-*")))
        assert not (site.data / "tasks.db.pending-restore").exists()
        sent = server.api("POST", "restore", files={"file": good.read_bytes()})
        assert sent.status_code == 200, sent.text
    assert task_names(tmp_path / "taken.db") == ["written meanwhile"]


def read_answer(client: HTTPConnection, answers: list[int]) -> None:
    """The status, once it comes; none if the connection ends before that."""
    with suppress(OSError, ValueError, AttributeError, HTTPException):
        answers.append(client.getresponse().status)
