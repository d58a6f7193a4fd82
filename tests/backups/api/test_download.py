"""Downloads over HTTP: which kind, in which coding, how many, and of clients that stall."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from backups.client import BackupClient
from tests.backups.codings import DECODE
from tests.backups.uploads import BAD, add_ballast, add_tasks
from tests.backups.waiting import until
from tests.site import Server, Site, copy_site, task_names

pytestmark = pytest.mark.proof  # each test starts processes of the whole site

BALLAST = 20  # MB, far more than the sockets' buffers hold
AT_ONCE = 2
STALL_SECONDS = 5  # a busy machine can keep a test from running for two or three


@pytest.fixture(scope="module")
def served(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose database is more than a moment's download."""
    site = copy_site(template_site, tmp_path_factory.mktemp("served") / "data")
    add_tasks(site.database, "first")
    add_ballast(site.database, BALLAST)
    return site


@pytest.fixture(scope="module")
def server(served: Site) -> Iterator[Server]:
    """It sends pages from 1 MB on, two at once, and soon gives up a client that stalls."""
    with served.serving(
        TASKDOG_COMPACT_UP_TO="1000000",
        TASKDOG_SNAPSHOTS_AT_ONCE=str(AT_ONCE),
        TASKDOG_STALL_SECONDS=str(STALL_SECONDS),
    ) as running:
        running.http.headers["Connection"] = "close"
        yield running


def get(server: Server, query: str = "", accepted: str = "identity") -> requests.Response:
    """A download whose body is still to be read."""
    return server.api("GET", f"backup{query}", stream=True, headers={"Accept-Encoding": accepted})


@pytest.mark.parametrize(
    ("query", "method"),
    [("", "pages"), ("?compact=0", "pages"), ("?compact=1", "compact")],
)
@pytest.mark.parametrize("coding", ["", "zstd", "gzip"])
def test_download_is_what_was_asked_for_and_says_so(
    server: Server, query: str, method: str, coding: str, tmp_path: Path
) -> None:
    with get(server, query, coding or "identity") as answer:
        body = DECODE[coding](answer.raw.read(decode_content=False))
    assert answer.headers["Snapshot-Method"] == method
    assert answer.headers["Snapshot-Size"] == str(len(body))
    assert answer.headers.get("Content-Encoding", "") == coding
    assert answer.headers.get("Content-Length") == (None if coding else str(len(body)))
    assert answer.headers["Vary"] == "Accept-Encoding"
    (tmp_path / "taken.db").write_bytes(body)
    assert task_names(tmp_path / "taken.db") == ["first"]


@pytest.mark.proof
def test_small_database_is_sent_compact_and_with_the_number_of_its_defects(site: Site) -> None:
    with site.serving() as small:
        good = small.api("GET", "backup").headers
        assert (good["Snapshot-Method"], good["Snapshot-Defects"]) == ("compact", "0")
        BAD["broken reference"].spoil(site.database)
        assert small.api("GET", "backup").headers["Snapshot-Defects"] == "1"
        with BackupClient(small.url, site.key) as client, client.create_snapshot() as snapshot:
            assert snapshot.defects == 1
        assert "Snapshot-Defects" not in small.api("GET", "backup?compact=0").headers


@pytest.mark.parametrize("given", ["", "2", "yes", "true"])
def test_other_kinds_there_are_not(server: Server, given: str) -> None:
    answer = server.api("GET", f"backup?compact={given}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
    assert repr(given) in answer.json()["detail"]


@pytest.mark.parametrize("compact", [True, False, None])
@pytest.mark.parametrize("compress", [True, False])
def test_our_client_gets_the_same_either_way(
    server: Server, compact: bool | None, compress: bool, tmp_path: Path
) -> None:
    path = tmp_path / "taken.db"
    with BackupClient(server.url, str(server.http.headers["X-Api-Key"])) as client:
        client.download(path, compact=compact, compress=compress)
        with client.create_snapshot(compact=compact, compress=compress) as snapshot:
            assert snapshot.method == ("compact" if compact else "pages")
            assert snapshot.size == path.stat().st_size
    assert task_names(path) == ["first"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_more_downloads_than_may_be_at_once_are_told_when_to_come_again(server: Server) -> None:
    with ExitStack() as under_way:
        for _ in range(AT_ONCE):
            assert under_way.enter_context(get(server)).status_code == 200
        refused = get(server)
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_snapshots")
        assert refused.headers["Retry-After"] == "10"
        assert server.http.get(f"{server.url}/health").json() == {"status": "ok"}
        server.add_task("written meanwhile")
        task = server.api("GET", "tasks").json()["tasks"][-1]
        assert server.api("DELETE", f"tasks/{task['id']}").status_code == 200
    until(lambda: not is_refused(server))


@pytest.mark.proof
def test_client_that_stalls_is_dropped_and_its_turn_is_free(server: Server) -> None:
    """It reads the head and nothing more; one that goes on reading, slowly, is served."""
    with ExitStack() as under_way:
        for _ in range(AT_ONCE):
            under_way.enter_context(closing(stalling_client(server)))
        assert is_refused(server)
        until(lambda: not is_refused(server))
    server.wait_for_log(r"was cut off: the last \d+ of its \d+ bytes were not sent")


@pytest.mark.proof
def test_client_that_is_slow_is_served_to_the_end(server: Server) -> None:
    """It lets the server wait, in all for longer than it would wait at once."""
    with closing(stalling_client(server)) as client:
        head = client.recv(100_000).partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head[0])
        assert length
        left = int(length[1]) - len(head[2])
        for _ in range(6):
            time.sleep(0.2 * STALL_SECONDS)  # to be slow is what is tried here
            left -= len(client.recv(1_000_000, socket.MSG_WAITALL))
        while left:
            arrived = client.recv(left)
            assert arrived, f"cut off with {left} bytes to go"
            left -= len(arrived)


def test_nothing_is_left_of_any_download(server: Server, served: Site) -> None:
    with get(server, "?compact=0"), get(server, "?compact=1"):
        pass
    until(lambda: not [name for name in os.listdir(served.data) if ".snapshot-" in name])
    until(lambda: not children_of(server))


def is_refused(server: Server) -> bool:
    """Whether one more download would be one too many at this moment."""
    with get(server) as answer:
        return answer.status_code == 503


def stalling_client(server: Server) -> socket.socket:
    """A connection over which a download has begun, whose bytes nobody takes."""
    return until(lambda: begun(server))  # a client that has just left may still have its turn


def begun(server: Server) -> socket.socket | None:
    """Such a connection; None if all turns are taken."""
    host, _, port = urlsplit(server.url).netloc.partition(":")
    client = socket.create_connection((host, int(port)), timeout=60)
    key = str(server.http.headers["X-Api-Key"])
    client.sendall(
        f"GET /api/v1/backup HTTP/1.1\r\nHost: {host}\r\nX-Api-Key: {key}\r\n\r\n".encode()
    )
    if client.recv(15) == b"HTTP/1.1 200 OK":
        return client
    client.close()
    return None


def children_of(server: Server) -> list[str]:
    """The processes that the workers have started and that have not ended, or were not reaped."""
    return [
        child
        for pid in server.worker_pids()
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]
