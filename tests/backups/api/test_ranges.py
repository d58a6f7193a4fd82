"""Downloads that broke off: continued with the rest of the same snapshot, or not at all."""

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from backups.api import ranges
from backups.exceptions import NotResumableError
from backups.keys.api_keys import create_key
from tests.backups.uploads import add_ballast, add_tasks
from tests.backups.waiting import until
from tests.site import Server, Site, copy_site, task_names

HALF = 100_000
UNKNOWN = "0" * 32
AT_ONCE = 2
SECONDS = 2


@pytest.fixture(scope="module")
def served(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = copy_site(template_site, tmp_path_factory.mktemp("served") / "data")
    add_tasks(site.database, "first")
    add_ballast(site.database, 8)
    return site


@pytest.fixture(scope="module")
def server(served: Site) -> Iterator[Server]:
    """Two workers, so that the rest may be asked for of one that did not take the snapshot."""
    with served.serving(
        TASKDOG_WORKERS="2",
        TASKDOG_SNAPSHOTS_AT_ONCE=str(AT_ONCE),
        TASKDOG_RESUME_SECONDS=str(SECONDS),
    ) as running:
        running.http.headers.update({"Connection": "close", "Accept-Encoding": "identity"})
        yield running


@pytest.fixture
def broken(server: Server) -> tuple[bytes, str]:
    """The beginning of a download, and its ETag; the database has changed since."""
    with server.api("GET", "backup", stream=True) as answer:
        assert answer.headers["Accept-Ranges"] == "bytes"
        beginning, etag = answer.raw.read(HALF), answer.headers["ETag"]
    server.add_task("written since")
    return beginning, etag


def rest(server: Server, query: str = "", **headers: str) -> requests.Response:
    """Ask for what follows the beginning; ``If_Range`` spells the header's name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.api("GET", f"backup{query}", headers={"Range": f"bytes={HALF}-"} | named)


def pinned(site: Site) -> list[Path]:
    return list(site.data.glob("tasks.db.pinned-*"))


@pytest.mark.parametrize("way", ["If-Range", "If-Match", "snapshot"])
def test_rest_is_that_of_the_same_snapshot(
    server: Server, broken: tuple[bytes, str], way: str, tmp_path: Path
) -> None:
    beginning, etag = broken
    etag_id = etag.strip('"')
    if way == "snapshot":
        answer = rest(server, f"?snapshot={etag_id}")
    else:
        answer = rest(server, **{way: etag})
    whole = beginning + answer.content
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {HALF}-{len(whole) - 1}/{len(whole)}"
    assert answer.headers["ETag"] == etag
    digest = base64.b64encode(hashlib.sha256(whole).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    (tmp_path / "joined.db").write_bytes(whole)
    assert "first" in task_names(tmp_path / "joined.db")


def test_part_in_the_middle_is_what_was_asked_for(
    server: Server, broken: tuple[bytes, str]
) -> None:
    beginning, etag = broken
    answer = rest(server, Range="bytes=10-19", If_Match=etag)
    assert (answer.status_code, answer.content) == (206, beginning[10:20])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"If-Match": f'"{UNKNOWN}"'},
        {"If-Match": '"another server\'s"'},
        {"Range": "bytes=-500"},
        {"Range": "bytes=0-9,50-99"},
        {"Range": "rows=7-"},
    ],
)
@pytest.mark.parametrize("query", ["", "?compact=0"])
def test_rest_of_nobody_knows_what_is_refused(
    server: Server, headers: dict[str, str], query: str
) -> None:
    answer = rest(server, query, **headers)
    assert (answer.status_code, answer.json()["code"]) == (412, "not_resumable")


def test_condition_that_does_not_hold_gets_a_new_whole_snapshot(server: Server) -> None:
    answer = rest(server, If_Range=f'"{UNKNOWN}"')
    assert (answer.status_code, answer.content[:6]) == (200, b"SQLite")
    assert len(answer.content) == int(answer.headers["Snapshot-Size"])


def test_another_caller_does_not_get_it(
    server: Server, served: Site, broken: tuple[bytes, str]
) -> None:
    other = create_key(served.data / "api_keys.json", name="another", scopes=["backup"])
    answer = rest(server, If_Match=broken[1], X_Api_Key=other)
    assert answer.status_code == 412


def test_client_that_has_everything_is_told_so(server: Server) -> None:
    whole = server.api("GET", "backup")
    size, etag = len(whole.content), whole.headers["ETag"]
    answer = rest(server, Range=f"bytes={size}-", If_Match=etag)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert rest(server, Range=f"bytes={size + 1}-", If_Match=etag).status_code == 412


@pytest.mark.proof
@pytest.mark.parametrize("query", ["", "?snapshot="])
@pytest.mark.parametrize(
    "command",
    [
        ["wget", "-q", "-c", "-t", "1", "-O", "got.db"],
        ["curl", "-s", "-C", "-", "-o", "got.db"],
    ],
    ids=["wget", "curl"],
)
def test_real_clients_continue_with_the_same_snapshot_or_fail(
    server: Server, broken: tuple[bytes, str], command: list[str], query: str, tmp_path: Path
) -> None:
    beginning, etag = broken
    path = tmp_path / "got.db"
    path.write_bytes(beginning)
    header = f"X-Api-Key: {server.http.headers['X-Api-Key']!s}"
    option = "--header" if command[0] == "wget" else "-H"
    url = f"{server.url}/api/v1/backup" + (query and query + etag.strip('"'))
    assert shutil.which(command[0]), f"{command[0]} is not installed"
    code = subprocess.run([*command, option, header, url], cwd=tmp_path, check=False).returncode
    if query:
        assert code == 0
        assert "first" in task_names(path)
    else:
        assert (code != 0, path.read_bytes()) == (True, beginning)


@pytest.mark.proof
def test_so_many_stay_as_may_be_under_way_and_only_for_a_while(
    server: Server, served: Site
) -> None:
    for _ in range(AT_ONCE + 2):
        assert server.api("GET", "backup").status_code == 200
    assert 1 <= len(pinned(served)) <= AT_ONCE
    assert {path.stat().st_mode & 0o777 for path in pinned(served)} == {0o600}
    until(lambda: not pinned(served))


@pytest.mark.parametrize("query", ["?compact=0", ""])
def test_what_can_not_be_continued_says_so(server: Server, query: str) -> None:
    coding = {} if query else {"Accept-Encoding": "gzip"}
    with server.api("GET", f"backup{query}", headers=coding, stream=True) as answer:
        assert answer.headers["Accept-Ranges"] == "none"
        assert "ETag" not in answer.headers


@pytest.mark.parametrize("given", ["bytes=0-", "bytes=0-99", None])
def test_beginning_needs_no_name(given: str | None) -> None:
    wanted = ranges.wanted({"Range": given} if given else {}, None)
    assert (wanted.id, wanted.first) == (None, 0)


@pytest.mark.parametrize("given", ["bytes=5-4", "bytes=a-", "bytes=1-2,4-", ""])
def test_form_that_is_not_taken_is_refused(given: str) -> None:
    with pytest.raises(NotResumableError, match="not of the form"):
        ranges.wanted({"Range": given}, None)
