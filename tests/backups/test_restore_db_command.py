"""``manage.py restore_db`` as real processes, on this machine's store and on a real server."""

import hashlib
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.client import MAGIC
from tests.backups.commands import Ended, end, failing_checks, run, start
from tests.backups.uploads import BAD, Bad, add_tasks, snapshot_of
from tests.backups.wire import Request, standing_in
from tests.site import Server, Site, copy_site, task_names

ASKED = b"[y/N] "


@pytest.fixture(scope="module")
def good(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_of(template_site, tmp_path_factory.mktemp("good") / "good.db", "restored")


@pytest.fixture(scope="module")
def remote_site(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site somewhere else."""
    return copy_site(template_site, tmp_path_factory.mktemp("remote") / "data")


@pytest.fixture(scope="module")
def remote_server(remote_site: Site) -> Iterator[Server]:
    with remote_site.serving() as running:
        running.http.headers["Connection"] = "close"
        yield running


@pytest.fixture
def remote(remote_server: Server, remote_site: Site) -> Iterator[Server]:
    """The server of the site somewhere else, with nothing pending before and after."""
    yield remote_server
    for path in remote_site.data.glob("tasks.db.pending-restore*"):
        path.unlink()


def restore(
    site: Site, *arguments: str, answer: bytes = b"", server: Server | None = None
) -> Ended:
    variables = {}
    if server is not None:
        key = str(server.http.headers["X-Api-Key"])
        variables = {"TASKDOG_API_BASE_URL": server.url, "TASKDOG_API_KEY": key}
    return run(site, "restore_db", *arguments, answer=answer, variables=variables)


def pending(site: Site) -> bytes | None:
    path = site.data / "tasks.db.pending-restore"
    return path.read_bytes() if path.exists() else None


def read_until(process: "subprocess.Popen[bytes]", words: bytes) -> bytes:
    """What it writes on standard error, up to these words."""
    assert process.stderr is not None
    seen = b""
    while words not in seen:
        byte = process.stderr.read(1)
        assert byte, seen
        seen += byte
    return seen


# Asking


@pytest.mark.parametrize("answer", [b"\n", b"yep\n"])
def test_restore_db_asks_before_it_stages(site: Site, good: Path, answer: bytes) -> None:
    before = site.files()
    ended = restore(site, str(good), answer=answer)
    assert (ended.out, ended.code) == ("", 1)
    assert ended.err.endswith("Stage it? [y/N] CommandError: Nothing was changed.\n")
    assert site.files() == before


def test_restore_db_says_what_will_happen_before_it_asks(site: Site, good: Path) -> None:
    process = start(site, "restore_db", str(good))
    said = read_until(process, ASKED).decode()
    assert f"{good} (0.2 MB) will be checked and staged on this machine's store." in said
    assert "Nothing changes until its server is restarted." in said
    assert pending(site) is None, "nothing is staged before the answer"
    assert end(process, b"y\n").code == 0
    assert pending(site) == good.read_bytes()


def test_nobody_there_to_answer_is_an_error(site: Site, good: Path) -> None:
    before = site.files()
    ended = restore(site, str(good), answer=b"")
    assert (ended.out, ended.code) == ("", 1)
    assert "pass --yes" in ended.err
    assert site.files() == before


@pytest.mark.parametrize(("option", "answer"), [((), b"Yes\n"), (("--yes",), b"")])
def test_staged_restore_ends_with_what_to_do(
    site: Site, good: Path, option: tuple[str, ...], answer: bytes
) -> None:
    add_tasks(site.database, "live")
    ended = restore(site, str(good), *option, answer=answer)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert hashlib.sha256(good.read_bytes()).hexdigest() in lines[0]
    assert "tasks.db.pre-restore-<time>" in lines[1]
    assert lines[-1] == "Restart the server to apply."
    assert pending(site) == good.read_bytes()
    assert task_names(site.database) == ["live"]


def test_interrupted_at_the_question_stages_nothing(site: Site, good: Path) -> None:
    before = site.files()
    process = start(site, "restore_db", str(good))
    read_until(process, ASKED)
    process.send_signal(signal.SIGINT)
    ended = end(process)
    assert (ended.out, ended.code) == ("", 130)
    assert "Interrupted." in ended.err
    assert site.files() == before


def test_restore_db_says_what_it_replaces(site: Site, good: Path, tmp_path: Path) -> None:
    newer = Path(shutil.copy(good, tmp_path / "newer.db"))
    add_tasks(newer, "newer")
    assert restore(site, str(good), "--yes").code == 0
    ended = restore(site, str(newer), "--yes")
    assert ended.code == 0, ended.err
    assert "It replaces the restore that " in ended.err
    assert pending(site) == newer.read_bytes()


# The whole way


def test_next_command_that_is_alone_applies_and_restore_db_and_backup_do_not(
    site: Site, good: Path, tmp_path: Path
) -> None:
    add_tasks(site.database, "old")
    assert restore(site, str(good), "--yes").code == 0

    assert run(site, "backup", "-o", str(tmp_path / "last-look.db")).code == 0
    assert task_names(tmp_path / "last-look.db") == ["old"]
    status = restore(site, "--status")
    assert status.out.startswith("Pending on this machine's store: ")
    assert "Restart the server to apply." in status.out

    assert run(site, "check").code == 0
    assert task_names(site.database) == ["restored"]
    status = restore(site, "--status")
    (kept,) = site.kept()
    assert "Nothing is pending on this machine's store." in status.out
    assert "Last restore: applied at " in status.out
    assert f"kept as {kept.name}." in status.out
    assert task_names(kept) == ["old"]


def test_restore_db_stages_while_the_site_is_served(site: Site, good: Path) -> None:
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        server.add_task("old")
        assert restore(site, str(good), "--yes").code == 0
        assert server.api("GET", "restore").json()["status"] == "pending"
        assert server.task_names() == ["old"]


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 1000])
def test_restore_db_works_when_the_live_database_is_lost_or_ruined(
    site: Site, good: Path, content: bytes | None
) -> None:
    if content is None:
        site.database.unlink()
    else:
        site.database.write_bytes(content)
    ended = restore(site, str(good), "--yes")
    assert ended.code == 0, ended.err
    assert run(site, "check").code == 0
    assert task_names(site.database) == ["restored"]


def test_restore_db_works_when_system_checks_fail(site: Site, good: Path, tmp_path: Path) -> None:
    variables = failing_checks(tmp_path)
    assert run(site, "check", variables=variables).code == 1
    ended = run(site, "restore_db", str(good), "--yes", variables=variables)
    assert ended.code == 0, ended.err
    assert pending(site) == good.read_bytes()
    assert run(site, "restore_db", "--status", variables=variables).code == 0
    assert run(site, "restore_db", "--discard", "--yes", variables=variables).code == 0
    assert pending(site) is None


# Status and discard


def test_status_of_a_site_that_was_never_restored(site: Site) -> None:
    before = site.files()
    ended = restore(site, "--status")
    assert ended.code == 0, ended.err
    assert "Nothing is pending on this machine's store." in ended.out
    assert "No restore has been applied yet." in ended.out
    assert site.files() == before


def test_discarding_asks_and_forgets(site: Site, good: Path) -> None:
    before = site.names()
    assert restore(site, str(good), "--yes").code == 0
    ended = restore(site, "--discard", answer=b"n\n")
    assert (ended.out, ended.code) == ("", 1)
    assert pending(site) == good.read_bytes()

    ended = restore(site, "--discard", answer=b"y\n")
    assert ended.code == 0, ended.err
    assert hashlib.sha256(good.read_bytes()).hexdigest() in ended.out
    assert site.names() - before == {"tasks.db.restore-receipts.jsonl"}
    assert [receipt["outcome"] for receipt in site.receipts()] == ["staged", "discarded"]


def test_discarding_nothing_is_an_error(site: Site) -> None:
    before = site.files()
    ended = restore(site, "--discard", "--yes")
    assert (ended.out, ended.code) == ("", 1)
    assert "No restore is pending." in ended.err
    assert site.files() == before


@pytest.mark.parametrize("arguments", [(), ("--status", "--discard"), ("x.db", "--status")])
def test_restore_db_does_one_thing_at_a_time(site: Site, arguments: tuple[str, ...]) -> None:
    ended = restore(site, *arguments)
    assert (ended.out, ended.code) == ("", 2)
    assert "usage:" in ended.err


# Refused


@pytest.mark.parametrize("bad", [BAD["text"], BAD["cut off in a page"], BAD["newer release"]])
def test_bad_file_is_refused_in_a_sentence_and_changes_nothing(
    site: Site, good: Path, tmp_path: Path, bad: Bad
) -> None:
    assert restore(site, str(good), "--yes").code == 0
    before = site.files()
    spoilt = Path(shutil.copy(good, tmp_path / "spoilt.db"))
    bad.spoil(spoilt)
    ended = restore(site, str(spoilt), "--yes")
    assert (ended.out, ended.code) == ("", 1)
    assert "CommandError: " in ended.err
    assert "Nothing was staged." in ended.err
    assert "Traceback" not in ended.err
    assert site.files() == before


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_restore_db_refuses_the_live_database_as_a_source(
    site: Site, tmp_path: Path, suffix: str
) -> None:
    source = Path(f"{site.database}{suffix}")
    source.touch()
    link = tmp_path / "looks-innocent.db"
    link.symlink_to(source)
    before = site.files()
    for path in (source, link):
        ended = restore(site, str(path), "--yes")
        assert (ended.out, ended.code) == ("", 1)
        assert "is the live database, not a snapshot." in ended.err
    assert site.files() == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/no/such/file.db", "can't be read: No such file or directory."),
        ("/", "can't be read: Is a directory."),
        ("x" * 300, "File name too long"),
    ],
)
def test_file_that_cannot_be_read_is_named(site: Site, path: str, words: str) -> None:
    before = site.files()
    ended = restore(site, path, "--yes")
    assert (ended.out, ended.code) == ("", 1)
    assert path in ended.err
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert site.files() == before


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_database_with_rows_beside_it_is_refused_with_a_way_out(
    site: Site, good: Path, tmp_path: Path, suffix: str
) -> None:
    copied = tmp_path / "copied.db"
    shutil.copy(good, copied)
    copied.with_name(f"copied.db{suffix}").write_bytes(b"rows")
    ended = run(site, "restore_db", str(copied), "--yes")
    assert ended.code == 1
    assert f"rows are in copied.db{suffix}" in ended.err
    assert "VACUUM INTO" in ended.err
    assert not (site.data / "tasks.db.pending-restore").exists()


def test_status_does_not_name_the_command_itself(site: Site) -> None:
    assert "In use by" not in run(site, "restore_db", "--status").out


def test_without_a_current_database_nothing_is_said_to_be_kept(site: Site, good: Path) -> None:
    site.database.unlink()
    staged = run(site, "restore_db", str(good), "--yes")
    assert "keeps the current database" not in staged.out
    assert "puts the snapshot in place as tasks.db" in staged.out


def test_file_over_the_limit_is_refused_with_both_numbers(site: Site, good: Path) -> None:
    before = site.files()
    variables = {"TASKDOG_MAX_UPLOAD_BYTES": "1000"}
    ended = run(site, "restore_db", str(good), "--yes", variables=variables)
    assert (ended.out, ended.code) == ("", 1)
    assert f"{good.stat().st_size:,} bytes" in ended.err
    assert "limit of 1,000 bytes" in ended.err
    assert site.files() == before


# A remote server


def test_restore_on_a_server_by_its_url(
    site: Site, remote: Server, remote_site: Site, good: Path
) -> None:
    before = site.files()
    variables = {"TASKDOG_API_KEY": str(remote.http.headers["X-Api-Key"])}
    ended = run(site, "restore_db", str(good), "--yes", "--url", remote.url, variables=variables)
    assert ended.code == 0, ended.err
    assert ended.out.endswith("Restart the server to apply.\n")
    assert f"staged on {remote.url}" in ended.err
    assert pending(remote_site) == good.read_bytes()
    assert site.files() == before


def test_status_and_discard_work_on_a_server_too(
    site: Site, remote: Server, remote_site: Site, good: Path
) -> None:
    before = remote_site.names()
    assert restore(site, str(good), "--yes", server=remote).code == 0
    status = restore(site, "--status", server=remote)
    assert status.out.startswith(f"Pending on {remote.url}: ")
    assert "staged by tester at " in status.out
    discarded = restore(site, "--discard", "--yes", server=remote)
    assert discarded.code == 0, discarded.err
    assert remote_site.names() == before
    again = restore(site, "--discard", "--yes", server=remote)
    assert again.code == 1
    assert "No restore is pending." in again.err


def test_local_overrides_the_environment(
    site: Site, remote: Server, remote_site: Site, good: Path
) -> None:
    assert restore(site, str(good), "--yes", "--local", server=remote).code == 0
    assert pending(site) == good.read_bytes()
    assert pending(remote_site) is None


def test_bad_file_is_refused_in_the_server_s_sentence(
    site: Site, remote: Server, remote_site: Site, good: Path, tmp_path: Path
) -> None:
    spoilt = Path(shutil.copy(good, tmp_path / "spoilt.db"))
    BAD["missing table"].spoil(spoilt)
    before = remote_site.names()
    ended = restore(site, str(spoilt), "--yes", server=remote)
    assert (ended.out, ended.code) == ("", 1)
    assert "promise the table notes" in ended.err
    assert "Nothing was staged." in ended.err
    assert remote_site.names() == before


@pytest.mark.parametrize(
    ("key", "words"), [("wrong", "Invalid API key"), ("", "There is no API key for")]
)
def test_wrong_key_is_told_and_stages_nothing(
    site: Site, remote: Server, remote_site: Site, good: Path, key: str, words: str
) -> None:
    before = remote_site.names(), site.files()
    variables = {"TASKDOG_API_KEY": key, "TASKDOG_API_BASE_URL": remote.url}
    ended = run(site, "restore_db", str(good), "--yes", variables=variables)
    assert (ended.out, ended.code) == ("", 1)
    assert words in ended.err
    assert (remote_site.names(), site.files()) == before


def test_wrong_url_is_told_and_stages_nothing_here(site: Site, good: Path) -> None:
    before = site.files()
    arguments = ("restore_db", str(good), "--yes", "--url", "http://127.0.0.1:1")
    ended = run(site, *arguments, variables={"TASKDOG_API_KEY": "key"})
    assert (ended.out, ended.code) == ("", 1)
    assert "did not answer: Connection refused." in ended.err
    assert site.files() == before


def test_interrupted_while_the_server_checks_does_not_say_that_nothing_is_staged(
    site: Site, good: Path
) -> None:
    """The server has all it needs, and goes on to stage it."""
    arrived, interrupted = threading.Event(), threading.Event()
    nothing = b'{"status": "nothing", "max_upload_bytes": 1000000}'

    def check_slowly(request: Request) -> None:
        if request.command == "GET":
            request.reply(200, {"Content-Length": str(len(nothing))}, nothing)
            return
        assert request.rfile.read(int(request.headers["Content-Length"])).startswith(MAGIC)
        arrived.set()
        interrupted.wait(20)

    with standing_in(check_slowly) as slow:
        variables = {"TASKDOG_API_KEY": "key", "TASKDOG_API_BASE_URL": slow.url}
        process = start(site, "restore_db", str(good), "--yes", variables=variables)
        assert arrived.wait(20)
        process.send_signal(signal.SIGINT)
        ended = end(process)
        interrupted.set()
    assert (ended.out, ended.code) == ("", 130)
    assert "Interrupted. See what is pending with --status." in ended.err
