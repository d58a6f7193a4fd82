"""The client against a real server, and against stand-ins that fail as no healthy one does."""

import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from backups.client import BackupClient
from backups.client import client as client_module
from backups.exceptions import (
    ClientError,
    DestinationError,
    OutcomeUnknownError,
    ServerRefusedError,
    ServerUnreachableError,
    TransferInterruptedError,
)
from backups.keys.api_keys import create_key
from backups.sqlite.format.header import MAGIC
from tests.backups.uploads import add_ballast, add_tasks, snapshot_of
from tests.backups.wire import Request, as_database, standing_in
from tests.processes import CHECKOUT
from tests.site import Server, Site, copy_site, task_names

KEY = "the-key"
DATABASE = as_database(bytes(500 * 1024))
WORDS = json.dumps(
    {"detail": "\x1b[2J\u202e\x9b" * 2000, "hint": "one\ntwo\x1b", "code": "\x1b"}
).encode()
LARGE = 50  # MB
FLAT = 20 * 1024  # KiB that a client may take on top, whatever the database's size
LIMIT = 200_000_000


@pytest.fixture(scope="module")
def large(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = copy_site(template_site, tmp_path_factory.mktemp("large") / "data")
    add_tasks(site.database, "live")
    add_ballast(site.database, LARGE)
    return site


@pytest.fixture(scope="module")
def server(large: Site) -> Iterator[Server]:
    """A real server with a large database, for what changes nothing that a test looks at."""
    with large.serving(TASKDOG_MAX_UPLOAD_BYTES=str(LIMIT)) as running:
        running.http.headers["Connection"] = "close"
        yield running


@pytest.fixture(scope="module")
def good(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_of(template_site, tmp_path_factory.mktemp("good") / "good.db", "restored")


@pytest.fixture
def client(server: Server, large: Site) -> Iterator[BackupClient]:
    with BackupClient(server.url, large.key) as ours:
        yield ours
        for path in large.data.glob("tasks.db.pending-restore*"):
            path.unlink()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Where downloads go: a folder with nothing else in it."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder / "saved.db"


def test_public_surface_is_written_down() -> None:
    defined = [
        name
        for name, value in vars(client_module).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == client_module.__name__
        and not name.startswith("_")
    ]
    assert client_module.__all__ == sorted(defined)


# A real server


def test_download_is_a_whole_database(client: BackupClient, saved: Path) -> None:
    client.download(saved)
    assert task_names(saved) == ["live"]
    assert [path.name for path in saved.parent.iterdir()] == ["saved.db"]


def test_snapshot_tells_its_name_and_size_before_it_is_read(client: BackupClient) -> None:
    with client.create_snapshot() as snapshot:
        assert snapshot.name.startswith("taskdog-backup-")
        assert snapshot.size is not None
        assert snapshot.size > LARGE * 1_000_000


def test_download_does_not_overwrite_unless_asked(client: BackupClient, saved: Path) -> None:
    saved.write_bytes(b"old")
    with pytest.raises(DestinationError, match="already exists"):
        client.download(saved)
    assert saved.read_bytes() == b"old"
    client.download(saved, overwrite=True)
    assert task_names(saved) == ["live"]


def test_restore_is_staged_seen_and_discarded(client: BackupClient, good: Path) -> None:
    steps: list[int] = []
    with good.open("rb") as content:
        staged = client.stage_restore(content, progress=steps.append)
    assert (staged["status"], staged["staged_by"]) == ("pending", "tester")
    assert sum(steps) == staged["size"] == good.stat().st_size
    assert client.get_restore_status()["sha256"] == staged["sha256"]
    assert client.discard_pending_restore()["sha256"] == staged["sha256"]
    assert client.get_restore_status()["status"] == "nothing"


@pytest.mark.proof
def test_restore_now_and_undo_now_are_live_when_they_return(
    template_site: Site, tmp_path: Path, good: Path
) -> None:
    site = copy_site(template_site, tmp_path / "data")
    add_tasks(site.database, "live")
    with site.serving() as server, BackupClient(server.url, site.key) as ours:
        server.http.headers["Connection"] = "close"
        with good.open("rb") as content:
            applied = ours.stage_restore(content, now=True)
        assert (applied["status"], server.task_names()) == ("applied", ["restored"])
        undone = ours.undo_restore(now=True)
        assert (undone["undoes"], server.task_names()) == (applied["kept"], ["live"])
        staged = ours.undo_restore()
        assert (staged["status"], staged["undoes"]) == ("pending", undone["kept"])
        listed = ours.list_restores()
    assert [receipt["outcome"] for receipt in listed["restores"]] == [
        "staged",
        "applied",
        "staged",
        "applied",
        "staged",
    ]
    assert {copy["name"] for copy in listed["kept"]} == {applied["kept"], undone["kept"]}


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, content: client.stage_restore(content, now=True),
        lambda client, content: client.undo_restore(now=True),
    ],
    ids=["stage", "undo"],
)
def test_answer_that_only_stages_is_not_taken_for_a_restore_that_was_applied(
    good: Path, ask: Callable[[BackupClient, BinaryIO], object]
) -> None:
    pending = b'{"status": "pending", "message": "restart required"}'

    def stage_only(request: Request) -> None:
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        request.reply(200, {"Content-Length": str(len(pending))}, pending)

    with (
        standing_in(stage_only) as server,
        BackupClient(server.url, KEY) as ours,
        good.open("rb") as content,
        pytest.raises(OutcomeUnknownError, match="The outcome is not known") as error,
    ):
        ask(ours, content)
    assert "restore_db --status" in error.value.hint

    assert server.asked[-1][1].endswith("?apply=now")


def test_undo_that_breaks_off_is_not_called_an_upload() -> None:
    with (
        standing_in(lambda request: request.connection.close()) as server,
        BackupClient(server.url, KEY) as ours,
        pytest.raises(TransferInterruptedError, match=r"The request to .*/restore/undo broke off"),
    ):
        ours.undo_restore()


def test_refused_snapshot_is_told_in_the_server_s_words(
    client: BackupClient, tmp_path: Path
) -> None:
    (tmp_path / "bad.db").write_bytes(b"just a text")
    with (
        (tmp_path / "bad.db").open("rb") as content,
        pytest.raises(ServerRefusedError, match="is not a SQLite database") as refused,
    ):
        client.stage_restore(content)
    assert refused.value.status == 400
    assert "Send a file that came from this site's backup" in refused.value.hint
    assert client.get_restore_status()["status"] == "nothing"


def test_empty_file_is_told_to_be_empty(client: BackupClient, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    with (
        (tmp_path / "empty.db").open("rb") as content,
        pytest.raises(ServerRefusedError, match=r"The upload is empty \(0 bytes\)"),
    ):
        client.stage_restore(content)


def test_wrong_key_is_told_before_the_upload(server: Server, good: Path, saved: Path) -> None:
    steps: list[int] = []
    with BackupClient(server.url, "wrong") as stranger, good.open("rb") as content:
        with pytest.raises(ServerRefusedError, match="Invalid API key") as refused:
            stranger.stage_restore(content, progress=steps.append)
        assert refused.value.status == 401
        with pytest.raises(ServerRefusedError, match="Invalid API key"):
            stranger.download(saved)
    assert steps == []
    assert not list(saved.parent.iterdir())


def test_key_without_the_scope_is_told_which_one(server: Server, large: Site, good: Path) -> None:
    key = create_key(large.data / "api_keys.json", name="tasks only", scopes=["tasks"])
    with (
        BackupClient(server.url, key) as stranger,
        good.open("rb") as content,
        pytest.raises(ServerRefusedError, match="scope 'restore'") as refused,
    ):
        stranger.stage_restore(content)
    assert refused.value.status == 403


def test_file_over_the_limit_is_told_before_it_is_sent(
    client: BackupClient, tmp_path: Path
) -> None:
    steps: list[int] = []
    with (tmp_path / "huge.db").open("wb+") as huge:
        huge.truncate(LIMIT + 1)
        with pytest.raises(ServerRefusedError, match=f"up to {LIMIT:,} bytes") as refused:
            client.stage_restore(huge, progress=steps.append)
    assert (refused.value.status, refused.value.code) == (413, "too_large")
    assert steps == []


def test_early_refusal_is_told_while_the_file_is_being_sent(
    client: BackupClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's limit came down between the question and the upload."""
    monkeypatch.setattr(client, "get_restore_status", dict)
    with (tmp_path / "huge.db").open("wb+") as huge:
        huge.write(MAGIC)
        huge.truncate(LIMIT + 1)
        huge.seek(0)
        with pytest.raises(ServerRefusedError, match=f"larger than the limit of {LIMIT:,}"):
            client.stage_restore(huge)


@pytest.mark.proof
def test_memory_stays_flat_both_ways_without_django(
    server: Server, large: Site, saved: Path
) -> None:
    script = f"""
        import resource, sys
        from pathlib import Path

        for name in ("django", "rest_framework", "multipart", "rich"):
            sys.modules[name] = None  # to import it is an error

        from backups.client import BackupClient

        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        path = Path({str(saved)!r})
        with BackupClient({server.url!r}, {large.key!r}) as client:
            client.get_restore_status()
            before = peak()
            client.download(path)
            with path.open("rb") as content:
                staged = client.stage_restore(content)
            client.discard_pending_restore()
        print(staged["size"], peak() - before)
    """
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    size, more = map(int, ended.stdout.split())
    assert size == saved.stat().st_size > LARGE * 1_000_000
    assert more < FLAT, f"{more} KiB more for {size} bytes"


# Servers that fail


def test_download_interrupted_halfway_leaves_no_file(saved: Path) -> None:
    def half(request: Request) -> None:
        request.reply(200, {"Content-Length": str(2 * len(DATABASE))}, DATABASE)

    with (
        standing_in(half) as liar,
        BackupClient(liar.url, KEY) as client,
        pytest.raises(TransferInterruptedError, match=r"broke off after [\d,]+ bytes") as broke,
    ):
        client.download(saved)
    assert f"{liar.url}/api/v1/backup" in str(broke.value)
    assert not list(saved.parent.iterdir())


def test_download_interrupted_keeps_the_older_file(saved: Path) -> None:
    saved.write_bytes(b"old")

    def half(request: Request) -> None:
        request.reply(200, {"Content-Length": str(2 * len(DATABASE))}, DATABASE)

    with (
        standing_in(half) as liar,
        BackupClient(liar.url, KEY) as client,
        pytest.raises(TransferInterruptedError),
    ):
        client.download(saved, overwrite=True)
    assert saved.read_bytes() == b"old"
    assert len(list(saved.parent.iterdir())) == 1


def test_chunked_download_that_is_cut_off_leaves_no_file(saved: Path) -> None:
    def half(request: Request) -> None:
        chunk = f"{len(DATABASE):x}\r\n".encode() + DATABASE + b"\r\n"
        request.reply(200, {"Transfer-Encoding": "chunked"}, chunk)

    with (
        standing_in(half) as liar,
        BackupClient(liar.url, KEY) as client,
        pytest.raises(TransferInterruptedError),
    ):
        client.download(saved)
    assert not list(saved.parent.iterdir())


@pytest.mark.parametrize("first", [1, 15, 16, 1000])
def test_chunked_download_that_is_whole_is_saved(saved: Path, first: int) -> None:
    """So a proxy, or another server of this API, may send it."""

    def whole(request: Request) -> None:
        pieces = (DATABASE[:first], DATABASE[first:], b"")
        chunks = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces]
        request.reply(200, {"Transfer-Encoding": "chunked"}, b"".join(chunks))

    with standing_in(whole) as server, BackupClient(server.url, KEY) as client:
        with client.create_snapshot() as snapshot:
            assert snapshot.size is None
            assert snapshot.is_named_here
        client.download(saved)
    assert saved.read_bytes() == DATABASE


@pytest.mark.parametrize("length", [{}, {"Content-Length": "many"}])
def test_download_whose_end_cannot_be_told_is_not_taken(
    saved: Path, length: dict[str, str]
) -> None:
    def endless(request: Request) -> None:
        request.reply(200, length, DATABASE)

    with (
        standing_in(endless) as server,
        BackupClient(server.url, KEY) as client,
        pytest.raises(ClientError),
    ):
        client.download(saved)
    assert not list(saved.parent.iterdir())


def test_download_that_stalls_is_given_up(saved: Path) -> None:
    given_up = threading.Event()

    def stall(request: Request) -> None:
        request.reply(200, {"Content-Length": str(2 * len(DATABASE))}, DATABASE)
        given_up.wait(20)

    with standing_in(stall) as slow, BackupClient(slow.url, KEY, read_seconds=0.2) as client:
        with pytest.raises(TransferInterruptedError, match="broke off after"):
            client.download(saved)
        given_up.set()
    assert not list(saved.parent.iterdir())


def test_timeout_is_a_client_error_with_the_url(saved: Path) -> None:
    given_up = threading.Event()

    def silent(request: Request) -> None:
        given_up.wait(20)

    with standing_in(silent) as slow, BackupClient(slow.url, KEY, read_seconds=0.2) as client:
        with pytest.raises(ServerUnreachableError, match="timed out") as error:
            client.download(saved)
        given_up.set()
    assert f"{slow.url}/api/v1/backup did not answer" in str(error.value)
    assert error.value.hint
    assert not list(saved.parent.iterdir())


def test_page_in_place_of_a_database_is_not_saved(saved: Path) -> None:
    page = b"<!doctype html><title>Sign in to the hotel's network</title>"

    def portal(request: Request) -> None:
        request.reply(200, {"Content-Length": str(len(page)), "Content-Type": "text/html"}, page)

    with standing_in(portal) as proxy, BackupClient(proxy.url, KEY) as client:
        with pytest.raises(ClientError, match="did not answer with a database"):
            client.download(saved)
        with pytest.raises(
            ServerUnreachableError, match="but the answer is not from a server with this API"
        ):
            client.get_restore_status()
    assert not list(saved.parent.iterdir())


def test_empty_answer_is_not_saved(saved: Path) -> None:
    def nothing(request: Request) -> None:
        request.reply(200, {"Content-Length": "0"})

    with (
        standing_in(nothing) as server,
        BackupClient(server.url, KEY) as client,
        pytest.raises(ClientError, match="answered with nothing"),
    ):
        client.download(saved)
    assert not list(saved.parent.iterdir())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_told_and_not_followed_with_the_key(saved: Path, status: int) -> None:
    def take(request: Request) -> None:
        request.reply(200, {"Content-Length": str(len(DATABASE))}, DATABASE)

    with standing_in(take) as thief:

        def redirect(request: Request) -> None:
            request.reply(status, {"Location": f"{thief.url}/x", "Content-Length": "0"})

        with (
            standing_in(redirect) as moved,
            BackupClient(moved.url, KEY) as client,
            pytest.raises(ServerRefusedError) as refused,
        ):
            client.download(saved)
    assert moved.asked[0][2]["X-Api-Key"] == KEY
    assert thief.asked == []
    assert f"{thief.url}/x" in refused.value.hint
    assert not list(saved.parent.iterdir())


TERMINAL = "\x1b]0;title\x07\x1b[31mred \u202eleft \x9b2J"
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def said_by(answer: Callable[[Request], None], saved: Path) -> list[str]:
    """The message and the hint of the errors with which each question ends, as in a traceback."""
    said = []
    with standing_in(answer) as server, BackupClient(server.url, KEY) as client:
        asks = (client.get_restore_status, lambda: client.download(saved), client.undo_restore)
        for ask in asks:
            with pytest.raises(ClientError) as error:
                ask()
            said += [str(error.value), error.value.hint, error.value.code]
            said += traceback.format_exception_only(error.value)[-1:]
            cause = error.value.__cause__
            while cause is not None:
                said.append(str(cause))
                cause = cause.__cause__ or cause.__context__
    return [words.rstrip("\n") for words in said]


def raw(head: str, body: str = "") -> Callable[[Request], None]:
    """A server that answers with these very bytes."""

    def answer(request: Request) -> None:
        request.wfile.write((head + "\r\n\r\n" + body).encode("latin-1"))

    return answer


LATIN = TERMINAL.replace("\u202e", "")


@pytest.mark.parametrize(
    "answer",
    [
        *(
            lambda request, status=status: request.reply(
                status, {"Content-Length": str(len(WORDS))}, WORDS
            )
            for status in (400, 403, 404, 409, 500, 503)
        ),
        raw(f"HTTP/1.1 503 {LATIN}\r\nContent-Length: 0"),
        raw(f"HTTP/1.1 418 {LATIN * 1000}\r\nContent-Length: 0"),
        raw(f"{LATIN} is not HTTP{'A' * 60000}"),
        raw(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://a/{LATIN * 1000}"),
        raw(f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[{LATIN}"),
        raw(f"HTTP/1.1 200 OK\r\nContent-Length: 1, {LATIN}\r\nX: y", "{"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y", f"{LATIN}\r\n"),
        raw(f"HTTP/1.1 200 OK\r\n{LATIN} is no header\r\nContent-Length: 0"),
        raw(f"HTTP/1.1 200 OK\r\nContent-Encoding: {LATIN}\r\nContent-Length: 0"),
    ],
)
def test_no_error_shows_what_a_terminal_obeys_or_is_without_end(
    answer: Callable[[Request], None], saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = [*said_by(answer, saved), *caplog.text.splitlines()]
    for words in said:
        assert not UNSHOWN.search(words), words
        assert len(words) < 5000


def test_answer_shows_nothing_that_a_terminal_obeys() -> None:
    body = json.dumps({"status": "pending", "staged_by": TERMINAL, "last": {"reason": TERMINAL}})

    def answer(request: Request) -> None:
        request.reply(200, {"Content-Length": str(len(body))}, body.encode())

    with standing_in(answer) as server, BackupClient(server.url, KEY) as client:
        status = client.get_restore_status()
    assert status["staged_by"] == status["last"]["reason"]
    assert status["staged_by"].startswith("\\x1b]0;title\\x07")


def test_number_in_a_header_that_nobody_can_count_is_left_out(saved: Path) -> None:
    def answer(request: Request) -> None:
        many = "9" * 5000
        headers = {"Snapshot-Size": many, "Snapshot-Defects": many, "Snapshot-Method": LATIN}
        request.reply(200, {"Content-Length": str(len(DATABASE))} | headers, DATABASE)

    with standing_in(answer) as server, BackupClient(server.url, KEY) as client:
        with client.create_snapshot() as snapshot:
            assert (snapshot.size, snapshot.defects) == (len(DATABASE), None)
            assert not UNSHOWN.search(snapshot.method)
        client.download(saved)
    assert saved.read_bytes() == DATABASE


def test_snapshot_is_named_by_the_server_only_in_our_form() -> None:
    def answer(request: Request) -> None:
        name = request.path.partition("?")[0].split("/")[-2]
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        request.reply(200, {"Content-Length": str(len(DATABASE))} | disposition, DATABASE)

    ours = "other-backup-20261123-024538.db"
    for name, is_named_here in ((ours, False), (".bash_profile", True)):
        with (
            standing_in(answer) as server,
            BackupClient(f"{server.url}/{name}", KEY) as client,
            client.create_snapshot() as snapshot,
        ):
            assert snapshot.is_named_here == is_named_here
            assert re.fullmatch(r"[a-z0-9-]+-backup-\d{8}-\d{6}\.db", snapshot.name)


def answering(status: int, body: bytes) -> Callable[[Request], None]:
    """A proxy that takes the request and answers it in the site's place; a status is the site's."""
    nothing = b'{"status": "nothing"}'

    def answer(request: Request) -> None:
        if request.command == "GET" and request.path.endswith("/restore"):
            request.reply(200, {"Content-Length": str(len(nothing))}, nothing)
            return
        request.rfile.read(int(request.headers.get("Content-Length") or 0))
        request.reply(status, {"Content-Length": str(len(body))}, body)

    return answer


PAGE = b"<html>Gateway</html>"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_error_page_of_a_proxy_is_no_answer_of_the_site(saved: Path, status: int) -> None:
    with (
        standing_in(answering(status, PAGE)) as proxy,
        BackupClient(proxy.url, KEY) as client,
        pytest.raises(ServerUnreachableError, match=f"answered {status} .* not from a server"),
    ):
        client.download(saved)
    assert not list(saved.parent.iterdir())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (502, PAGE),
        (200, b"{}"),
        (200, b'{"status": "ok"}'),
        (504, b'{"detail": "timeout", "code": "gateway_timeout"}'),
        (503, PAGE),
        (504, PAGE),
        (504, b'{"message": "The upstream server is timing out"}'),  # Kong's
        (500, b'{"detail": "Internal Server Error"}'),
        (403, PAGE),  # a firewall may look at the answer only
        (200, PAGE),
        (202, b""),
        (503, b"[]"),
    ],
)
def test_outcome_is_not_known_when_a_proxy_answers_in_the_site_s_place(
    tmp_path: Path, status: int, body: bytes
) -> None:
    (tmp_path / "snapshot.db").write_bytes(DATABASE)
    with (
        standing_in(answering(status, body)) as proxy,
        BackupClient(proxy.url, KEY) as client,
        (tmp_path / "snapshot.db").open("rb") as snapshot,
    ):
        asks: list[Callable[[], object]] = [
            lambda: client.stage_restore(snapshot),
            client.undo_restore,
            client.discard_pending_restore,
        ]
        for ask in asks:
            with pytest.raises(OutcomeUnknownError, match="outcome is not known") as unknown:
                ask()
            assert "/api/v1/restore" in str(unknown.value)
            assert unknown.value.hint.endswith(f"restore_db --status --url {proxy.url}")
            assert str(status) in str(unknown.value)
            assert "--status" in unknown.value.hint


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (503, b'{"detail": "Too many.", "code": "too_many_snapshots", "hint": "Wait."}', None),
        (400, b'{"detail": "Damaged.", "code": "damaged", "hint": "Another."}', None),
        (403, b'{"detail": "No permission."}', "refused_by_server"),
        (403, b'{"detail": "No permission.", "code": "two words"}', "refused_by_server"),
    ],
)
def test_site_s_own_words_are_its_verdict_and_keep_their_code(
    status: int, body: bytes, code: str | None
) -> None:
    with (
        standing_in(answering(status, body)) as server,
        BackupClient(server.url, KEY) as client,
        pytest.raises(ServerRefusedError) as refused,
    ):
        client.undo_restore()
    answer = json.loads(body)
    assert str(refused.value).endswith(f"refused: {answer['detail']}")
    assert (refused.value.status, refused.value.hint) == (status, answer.get("hint", ""))
    assert refused.value.code == (code or answer["code"])


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"status": "ok"}', b'{"restores": 1}'])
def test_answer_to_a_question_that_is_of_another_api_is_told(body: bytes) -> None:
    def answer(request: Request) -> None:
        request.reply(200, {"Content-Length": str(len(body))}, body)

    with standing_in(answer) as other, BackupClient(other.url, KEY) as client:
        for ask in (client.get_restore_status, client.list_restores):
            with pytest.raises(ServerUnreachableError, match="API"):
                ask()


def test_upload_that_a_proxy_finds_too_large_never_came_to_the_site(tmp_path: Path) -> None:
    (tmp_path / "snapshot.db").write_bytes(DATABASE)
    with (
        standing_in(answering(413, b"<h1>413 Request Entity Too Large</h1>")) as proxy,
        BackupClient(proxy.url, KEY) as client,
        (tmp_path / "snapshot.db").open("rb") as snapshot,
        pytest.raises(ServerRefusedError, match="a proxy in front of the site says") as refused,
    ):
        client.stage_restore(snapshot)
    assert "client_max_body_size" in refused.value.hint


def test_certificates_that_are_missing_are_a_client_error(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file")
    with (
        BackupClient("https://127.0.0.1:1", KEY) as client,
        pytest.raises(ServerUnreachableError, match="/no/such/file"),
    ):
        client.download(saved)
    assert not list(saved.parent.iterdir())


def test_nobody_listening_is_told(saved: Path) -> None:
    with standing_in(lambda request: None) as gone:
        pass
    with (
        BackupClient(gone.url, KEY) as client,
        pytest.raises(ServerUnreachableError, match="did not answer: Connection refused"),
    ):
        client.download(saved)
    assert not list(saved.parent.iterdir())


def test_upload_that_the_server_drops_says_to_ask_before_the_next_try(tmp_path: Path) -> None:
    answer = b'{"status": "nothing"}'

    def drop(request: Request) -> None:
        if request.command == "GET":
            request.reply(200, {"Content-Length": str(len(answer))}, answer)
            return
        request.rfile.read(100_000)  # and the rest is thrown away with the connection

    path = tmp_path / "large.db"
    path.write_bytes(MAGIC + bytes(20_000_000))
    with (
        standing_in(drop) as dying,
        BackupClient(dying.url, KEY) as client,
        path.open("rb") as content,
        pytest.raises(TransferInterruptedError, match=r"The upload to \S+ broke off") as broke,
    ):
        client.stage_restore(content)
    assert dying.url in str(broke.value)
    assert broke.value.hint.endswith(f"restore_db --status --url {dying.url}")


def test_file_that_shrinks_while_it_is_sent_does_not_wait_for_ever(tmp_path: Path) -> None:
    answer = b'{"status": "nothing"}'

    def take(request: Request) -> None:
        if request.command == "POST":
            request.rfile.read(int(request.headers["Content-Length"] or 0))
        request.reply(200, {"Content-Length": str(len(answer))}, answer)

    path = tmp_path / "shrinks.db"
    path.write_bytes(MAGIC + bytes(20_000_000))
    with (
        standing_in(take) as server,
        BackupClient(server.url, KEY) as client,
        path.open("rb") as content,
        pytest.raises(TransferInterruptedError, match="the file became shorter while it was sent"),
    ):
        client.stage_restore(content, progress=lambda _: os.truncate(path, 1000))


def test_file_is_sent_from_its_beginning_and_not_beyond_its_length(tmp_path: Path) -> None:
    answer, arrived = b'{"status": "pending"}', list[bytes]()

    def take(request: Request) -> None:
        arrived.append(request.rfile.read(int(request.headers["Content-Length"] or 0)))
        request.reply(200, {"Content-Length": str(len(answer))}, answer)

    path = tmp_path / "grows.db"
    path.write_bytes(DATABASE)

    def grow(_: int) -> None:
        with path.open("ab") as other:
            other.write(b"more")

    with (
        standing_in(take) as server,
        BackupClient(server.url, KEY) as client,
        path.open("rb") as content,
    ):
        content.seek(100)
        client.stage_restore(content, progress=grow)
    assert arrived == [b"", DATABASE]


def test_upload_has_its_length_and_media_type(good: Path) -> None:
    answer = b'{"status": "pending"}'

    def take(request: Request) -> None:
        request.rfile.read(int(request.headers["Content-Length"] or 0))
        request.reply(200, {"Content-Length": str(len(answer))}, answer)

    with (
        standing_in(take) as server,
        BackupClient(f"{server.url}/", KEY) as client,
        good.open("rb") as content,
    ):
        client.stage_restore(content)
    method, path, headers = server.asked[-1]
    assert (method, path) == ("POST", "/api/v1/restore")
    assert headers["Content-Length"] == str(good.stat().st_size)
    assert headers["Content-Type"] == "application/octet-stream"  # of either store
    assert "Transfer-Encoding" not in headers


# What it is given


@pytest.mark.parametrize(
    "url",
    ["", "tasks.example.org", "ftp://example.org", "http://", "http://[", "/api", "https:///x"],
)
def test_what_is_no_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ClientError, match="is not the URL of a server"):
        BackupClient(url, KEY)


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines", "tab\t", " space", "space "])
def test_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ClientError, match="characters that a key can't have") as refused:
        BackupClient("http://127.0.0.1", key)
    assert key.strip() not in str(refused.value)
