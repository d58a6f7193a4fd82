"""Clients of each bad kind at once, and a site that goes on: a probe, a change, a backup."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.backups.uploads import add_ballast, add_tasks
from tests.site import Server, Site

pytestmark = pytest.mark.proof

OF_EACH = 40
HOSTILE = 24
SECONDS = 120.0  # in which a backup can be had, at the latest
ENOUGH = 60.0

HEAD = b"%s HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: %s\r\n"
UPLOAD = (
    b"Content-Type: application/vnd.sqlite3\r\nContent-Length: 50000000\r\n\r\nSQLite format 3\0"
)
KINDS = {
    "half heads": (b"GET /health", b"X-Half: "),
    "stalled uploads": (b"POST /api/v1/restore", UPLOAD),
    "readers of backups": (b"GET /api/v1/backup?compact=0", b"\r\n"),
    "readers of lists": (b"GET /api/v1/tasks?all=true", b"\r\n"),
}
LONG = "a task with a long name " * 18  # 5,000 of them are more than the buffers of a socket


@pytest.fixture
def large_site(site: Site) -> Site:
    add_ballast(site.database, 20)
    add_tasks(site.database, *[f"{LONG}{number}" for number in range(5_000)])
    return site


def connect(server: Server, kind: str) -> socket.socket:
    """A client that asks, and then takes nothing or sends nothing."""
    line, rest = KINDS[kind]
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    parts = urlsplit(server.url)
    client.settimeout(ENOUGH)
    client.connect((parts.hostname, parts.port))
    client.sendall(HEAD % (line, str(server.http.headers["X-Api-Key"]).encode()) + rest)
    client.settimeout(0)
    return client


@pytest.fixture
def trickling() -> Iterator[list[socket.socket]]:
    """Clients that take a little each second, in a thread, until the test is over."""
    clients: list[socket.socket] = []
    is_over = threading.Event()

    def take() -> None:
        while not is_over.wait(1):
            for client in clients:
                with suppress(OSError):  # nothing there, or dropped
                    client.recv(1000)

    thread = threading.Thread(target=take)
    thread.start()
    yield clients
    is_over.set()
    thread.join()


def send_hostile_file(server: Server, path: Path) -> None:
    """Refused, or told to come again: either will do."""
    headers = dict(server.http.headers) | {"Content-Type": "application/vnd.sqlite3"}
    url = f"{server.url}/api/v1/restore"
    with path.open("rb") as file, suppress(requests.RequestException):
        requests.post(url, data=file, headers=headers, timeout=SECONDS)


def test_site_goes_on_under_clients_of_each_bad_kind_at_once(
    large_site: Site, trickling: list[socket.socket], tmp_path: Path
) -> None:
    hostile = tmp_path / "hostile.db"
    hostile.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 4000)
    with large_site.serving(TASKDOG_STALL_SECONDS="5") as server:
        server.http.headers["Connection"] = "close"
        trickling.extend(connect(server, kind) for kind in KINDS for _ in range(OF_EACH))
        uploads = [
            threading.Thread(target=send_hostile_file, args=(server, hostile))
            for _ in range(HOSTILE)
        ]
        for upload in uploads:
            upload.start()
        for _ in range(5):
            assert server.http.get(f"{server.url}/health", timeout=ENOUGH).status_code == 200
            server.add_task("written meanwhile")
        backup = requests.Response()
        until_free = threading.Event()
        for _ in range(int(SECONDS)):
            backup = server.api("GET", "backup")
            if backup.status_code != 503:
                break
            until_free.wait(float(backup.headers["Retry-After"]) / 10)
        assert backup.status_code == 200
        assert len(backup.content) == int(backup.headers["Snapshot-Size"])
        for upload in uploads:
            upload.join()
        server.wait_for_log("was dropped: less than 32768 bytes a second went through")
        for client in trickling:
            client.close()  # or the stop waits for them
    assert not [name for name in large_site.names() if ".incoming-" in name]
