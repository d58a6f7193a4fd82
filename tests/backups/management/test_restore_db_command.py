"""``manage.py restore_db`` as real processes, on this machine's store and on a real server."""

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backups.disk.sizes import size_in_words
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.header import MAGIC
from backups.sqlite.locking.turns import UploadTurn
from tests.backups.commands import Ended, end, failing_checks, run, start
from tests.backups.uploads import BAD, Bad, add_tasks, snapshot_of
from tests.backups.wire import Request, standing_in
from tests.processes import CHECKOUT, environment
from tests.site import Server, Site, copy_site, task_names

pytestmark = pytest.mark.proof

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


@pytest.mark.parametrize("words", [["{good}"], ["--undo"]])
def test_command_without_a_turn_says_what_is_under_way_and_stages_nothing(
    words: list[str], site: Site, good: Path
) -> None:
    if words == ["--undo"]:
        site.stage(good)
        assert site.manage("check").code == 0  # which applies it
    before = site.names()
    taken = StorePaths.of(site.database)
    with UploadTurn(taken, at_once=2), UploadTurn(taken, at_once=2):
        refused = restore(site, *(word.format(good=good) for word in words), "--yes")
    assert refused.code == 1
    assert "CommandError: 2 uploads or checks for tasks.db are under way" in refused.err
    assert "Nothing was staged. Try again in 10 seconds" in refused.err
    assert site.names() - {"tasks.db.lock"} == before - {"tasks.db.lock"}


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
    assert f"{good} ({size_in_words(good.stat().st_size)}) will be checked and staged on" in said
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


def test_warnings_are_told_when_it_is_staged_and_with_the_status(
    site: Site, good: Path, tmp_path: Path
) -> None:
    """The live database is in ruins, so nobody can tell whether the view is the site's own."""
    viewed = Path(shutil.copy(good, tmp_path / "viewed.db"))
    with closing(sqlite3.connect(viewed)) as connection:
        connection.execute("CREATE VIEW open_tasks AS SELECT * FROM tasks")
    site.database.write_bytes(b"ruined" * 1000)
    warning = "Warning: The snapshot has the view open_tasks."
    ended = restore(site, str(viewed), "--yes")
    assert ended.code == 0, ended.err
    assert warning in ended.err
    assert warning in restore(site, "--status").err


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
    assert f"kept as {kept.name}. To go back: manage.py restore_db --undo\n" in status.out
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


# Now


def test_now_is_live_for_the_served_site_and_says_so_before_it_asks(site: Site, good: Path) -> None:
    add_tasks(site.database, "old")
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        process = start(site, "restore_db", str(good), "--now")
        said = read_until(process, ASKED).decode()
        assert "will be checked, staged and applied on this machine's store." in said
        assert "It takes effect at once, for everybody" in said
        assert "kept beside the database first, under another name." in said
        assert server.task_names() == ["old"], "nothing is applied before the answer"
        ended = end(process, b"y\n")
        assert ended.code == 0, ended.err
        assert server.task_names() == ["restored"]
    (kept,) = site.kept()
    assert task_names(kept) == ["old"]
    assert re.match(r"Applied: [\d.]+ kB, SHA-256 ", ended.out)
    assert f"is kept as {kept.name}. To go back: manage.py restore_db --undo" in ended.out
    assert pending(site) is None


def test_now_alone_applies_what_is_pending(site: Site, good: Path) -> None:
    add_tasks(site.database, "old")
    assert restore(site, str(good), "--yes").code == 0
    refused = restore(site, "--now", answer=b"n\n")
    assert (refused.out, refused.code) == ("", 1)
    assert "staged at " in refused.err
    assert "It takes effect at once, for everybody" in refused.err
    assert task_names(site.database) == ["old"]
    ended = restore(site, "--now", answer=b"y\n")
    assert ended.code == 0, ended.err
    assert task_names(site.database) == ["restored"]


def test_now_without_anything_pending_is_an_error(site: Site) -> None:
    before = site.files()
    ended = restore(site, "--now", "--yes")
    assert (ended.out, ended.code) == ("", 1)
    assert "No restore is pending." in ended.err
    assert site.files() == before


def test_what_cannot_be_applied_now_stays_pending_and_the_command_says_so(
    site: Site, good: Path, tmp_path: Path
) -> None:
    older = Path(shutil.copy(good, tmp_path / "older.db"))
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("DROP TABLE django_session")
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        connection.commit()
    add_tasks(site.database, "old")
    ended = restore(site, str(older), "--now", "--yes")
    assert (ended.out, ended.code) == ("", 1)
    assert "CommandError: The snapshot is older than this release" in ended.err
    assert "It stays pending: restart the server to apply it, or discard it." in ended.err
    assert task_names(site.database) == ["old"]
    assert pending(site) == older.read_bytes()
    assert site.kept() == []


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 1000])
def test_database_that_is_lost_or_ruined_is_left_to_a_start(
    site: Site, good: Path, content: bytes | None
) -> None:
    if content is None:
        site.database.unlink()
    else:
        site.database.write_bytes(content)
    ended = restore(site, str(good), "--now", "--yes")
    assert (ended.out, ended.code) == ("", 1)
    assert "only a restart can replace it" in ended.err
    assert "It stays pending" in ended.err
    assert (site.database.read_bytes() if site.database.exists() else None) == content
    assert run(site, "check").code == 0
    assert task_names(site.database) == ["restored"]


# Undo, and the kept copies


def test_undo_puts_back_what_the_last_restore_replaced(site: Site, good: Path) -> None:
    add_tasks(site.database, "old")
    assert restore(site, str(good), "--now", "--yes").code == 0
    (kept,) = site.kept()

    refused = restore(site, "--undo", answer=b"n\n")
    assert (refused.out, refused.code) == ("", 1)
    assert f"What the last restore replaced, {kept.name}, will be checked and staged" in refused.err
    assert pending(site) is None

    staged = restore(site, "--undo", answer=b"y\n")
    assert staged.code == 0, staged.err
    assert staged.out.endswith("Restart the server to apply.\n")
    assert pending(site) == kept.read_bytes()
    assert run(site, "check").code == 0
    assert task_names(site.database) == ["old"]

    redone = restore(site, "--undo", "--now", "--yes")
    assert redone.code == 0, redone.err
    assert task_names(site.database) == ["restored"]


def test_nothing_to_undo_is_an_error(site: Site) -> None:
    before = site.files()
    ended = restore(site, "--undo")
    assert (ended.out, ended.code) == ("", 1)
    assert "No restore has been applied yet, so there is nothing to undo." in ended.err
    assert site.files() == before


def test_kept_copies_are_listed_newest_first_with_size_and_time(site: Site, good: Path) -> None:
    nothing = restore(site, "--list")
    assert (nothing.out, nothing.code) == ("", 0)
    assert nothing.err == "Nothing is kept on this machine's store.\n"

    now = datetime.now(UTC).replace(microsecond=0)
    today, until = (each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in (now, now + timedelta(days=7)))
    for name, size in (
        ("20091123-024538", 1_234_567_890),
        ("20091123-024538-2", 400_000),
        (f"{now:%Y%m%d-%H%M%S}", 0),
        ("29991123-024538", 0),
    ):
        with (site.data / f"tasks.db.pre-restore-{name}").open("wb") as copy:
            copy.truncate(size)
    (site.data / "tasks.db.pre-restore-20101124-000000").mkdir()
    listed = restore(site, "--list")
    assert (listed.err, listed.code) == ("", 0)
    goes = "goes when a restore needs its place"
    assert listed.out == (
        "tasks.db.pre-restore-29991123-024538       0 bytes  2999-11-23T02:45:38Z"
        "  stays until you remove it\n"
        f"tasks.db.pre-restore-{now:%Y%m%d-%H%M%S}       0 bytes  {today}  stays until {until}\n"
        f"tasks.db.pre-restore-20101124-000000       0 bytes  2010-11-24T00:00:00Z  {goes}"
        "  a folder of what SQLite could not read\n"
        f"tasks.db.pre-restore-20091123-024538-2    400.0 kB  2009-11-23T02:45:38Z  {goes}\n"
        f"tasks.db.pre-restore-20091123-024538    1,234.6 MB  2009-11-23T02:45:38Z  {goes}\n"
    )


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


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--status", "--discard"),
        ("x.db", "--status"),
        ("x.db", "--undo"),
        ("--list", "--status"),
        ("--now", "--status"),
        ("--undo", "--accept-defects"),
        ("--now", "--discard"),
        ("--now", "--list"),
    ],
)
def test_restore_db_does_one_thing_at_a_time(site: Site, arguments: tuple[str, ...]) -> None:
    ended = restore(site, *arguments)
    assert (ended.out, ended.code) == ("", 2)
    assert "usage:" in ended.err


# Defects


def test_snapshot_with_defects_is_staged_if_that_is_typed_out(
    site: Site, good: Path, tmp_path: Path
) -> None:
    spoilt = Path(shutil.copy(good, tmp_path / "spoilt.db"))
    BAD["broken reference"].spoil(spoilt)
    refused = restore(site, str(spoilt), "--yes")
    assert refused.code == 1
    assert "accept them: restore_db PATH --accept-defects" in refused.err
    assert pending(site) is None
    ended = restore(site, str(spoilt), "--accept-defects", "--yes")
    assert ended.code == 0, ended.err
    assert "Warning: The snapshot has 1 defect: rows of notes that refer to no" in ended.err
    assert pending(site) == spoilt.read_bytes()


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


def test_status_does_not_name_the_command_itself(site: Site, good: Path) -> None:
    assert "In use by" not in run(site, "restore_db", "--status").out
    assert restore(site, str(good), "--yes").code == 0
    pending = run(site, "restore_db", "--status").out
    assert "Pending on" in pending
    assert "Waiting for" not in pending
    assert "In use by" not in pending


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
    (waiting,) = re.findall(r"^Waiting for: (.*)$", status.out, re.MULTILINE)
    for pid in (remote.process.pid, *remote.worker_pids()):
        assert f"pid {pid} (" in waiting
    assert "In use by" not in status.out, "said once"
    discarded = restore(site, "--discard", "--yes", server=remote)
    assert discarded.code == 0, discarded.err
    assert remote_site.names() - before <= {"tasks.db.restore-receipts.jsonl"}
    again = restore(site, "--discard", "--yes", server=remote)
    assert again.code == 1
    assert "No restore is pending." in again.err


def test_now_undo_and_list_work_on_a_server_too(
    site: Site, template_site: Site, good: Path, tmp_path: Path
) -> None:
    elsewhere = copy_site(template_site, tmp_path / "elsewhere")
    add_tasks(elsewhere.database, "old")
    before = site.files()
    with elsewhere.serving() as server:
        server.http.headers["Connection"] = "close"
        applied = restore(site, str(good), "--now", "--yes", server=server)
        assert applied.code == 0, applied.err
        assert server.task_names() == ["restored"]
        (kept,) = elsewhere.kept()
        assert f"is kept as {kept.name}." in applied.out
        listed = restore(site, "--list", server=server)
        assert listed.out.startswith(f"{kept.name}  ")

        undone = restore(site, "--undo", "--now", "--yes", server=server)
        assert undone.code == 0, undone.err
        assert kept.name in undone.err
        assert server.task_names() == ["old"]

        alone = restore(site, "--now", "--yes", server=server)
        assert (alone.out, alone.code) == ("", 1)
        assert (
            f"{server.url} applies without a restart only what comes with the request" in alone.err
        )

        older = Path(shutil.copy(good, tmp_path / "older.db"))
        with closing(sqlite3.connect(older)) as connection:
            connection.execute("DROP TABLE django_session")
            connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
            connection.commit()
        refused = restore(site, str(older), "--now", "--yes", server=server)
        assert (refused.out, refused.code) == ("", 1)
        assert "It stays pending: restart the server to apply it" in refused.err
        assert pending(elsewhere) == older.read_bytes()
    assert site.files() == before


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


@pytest.mark.parametrize("option", ["--status", "--list", "--undo", "--discard"])
def test_what_a_server_says_is_shown_without_what_a_terminal_obeys(site: Site, option: str) -> None:
    bad = "\x1b]0;title\x07\x1b[2J\u202e\x9b\nCommandError: forged"
    said = dict.fromkeys(("sha256", "staged_by", "staged_at", "next_start", "kept"), bad)
    last = dict.fromkeys(("outcome", "at", "reason", "kept"), bad)
    copy = {"name": bad, "size": 1, "kept_at": bad, "is_database": True, "stays_until": None}
    answers = {
        "/restore": said | {"status": "pending", "size": 1, "last": last, "in_use_by": [bad] * 999},
        "/restores": {"restores": [last | {"outcome": "applied"}], "kept": [copy]},
        "/undo": said | {"status": "pending", "size": 1, "warnings": [bad] * 999},
        "DELETE": said | {"status": "discarded"},
    }

    def answer(request: Request) -> None:
        name = request.command if request.command == "DELETE" else request.path[-20:]
        found = next(given for end, given in answers.items() if name.endswith(end))
        body = json.dumps(found).encode()
        request.reply(200, {"Content-Length": str(len(body))}, body)

    with standing_in(answer) as server:
        variables = {"TASKDOG_API_KEY": "key", "TASKDOG_API_BASE_URL": server.url}
        ended = run(site, "restore_db", option, "--yes", variables=variables)
    assert ended.code == 0, ended.err
    shown = ended.out + ended.err
    assert "\\x1b[2J" in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert not re.search("^CommandError", shown, re.MULTILINE)
    assert len(shown.splitlines()) < 250


@pytest.mark.parametrize(
    "body", [b'{"status": "pending"}', b'{"status": "nothing", "last": "x", "in_use_by": 1}']
)
def test_answer_of_another_form_is_an_error_in_a_sentence(site: Site, body: bytes) -> None:
    def answer(request: Request) -> None:
        request.reply(200, {"Content-Length": str(len(body))}, body)

    with standing_in(answer) as server:
        variables = {"TASKDOG_API_KEY": "key", "TASKDOG_API_BASE_URL": server.url}
        ended = run(site, "restore_db", "--status", variables=variables)
    assert (ended.out, ended.code) == ("", 1)
    assert "answered in a form that this release does not know" in ended.err
    assert "Traceback" not in ended.err


# Other ways to bring a snapshot


def test_standard_input_is_staged_and_checked_as_a_file_is(site: Site, good: Path) -> None:
    ended = restore(site, "-", "--yes", answer=good.read_bytes())
    assert ended.code == 0, ended.err
    assert "standard input (unknown size) will be checked and staged" in ended.err
    assert pending(site) == good.read_bytes()


@pytest.mark.parametrize("missing", [1, 5000])
def test_standard_input_that_ends_early_stages_nothing(
    site: Site, good: Path, missing: int
) -> None:
    before = site.files()
    ended = restore(site, "-", "--yes", answer=good.read_bytes()[:-missing])
    assert ended.code == 1
    assert "The file is cut off" in ended.err
    assert site.files() == before


def test_standard_input_cannot_answer_a_question(site: Site, good: Path) -> None:
    ended = restore(site, "-", answer=good.read_bytes())
    assert ended.code == 1
    assert "Standard input is the snapshot and can't answer: pass --yes." in ended.err
    assert pending(site) is None


def test_live_database_is_refused_as_standard_input(site: Site) -> None:
    before = site.files()
    with site.database.open("rb") as live:
        ended = subprocess.run(
            [sys.executable, CHECKOUT / "manage.py", "restore_db", "-", "--yes"],
            env=environment(site.data, **site.variables),
            stdin=live,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "is the live database" in ended.stderr
    assert site.files() == before


def test_pipe_is_kept_on_the_disk_for_a_server_that_wants_its_length(
    site: Site,
    good: Path,
    remote: Server,
    remote_site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(good.read_bytes()))
    writer.start()
    ended = restore(site, str(fifo), "--yes", server=remote)
    writer.join()
    assert ended.code == 0, ended.err
    assert pending(remote_site) == good.read_bytes()
    assert pending(site) is None
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


# What a file is that is no whole snapshot


def test_compressed_snapshot_is_unpacked(site: Site, good: Path, tmp_path: Path) -> None:
    packed = tmp_path / "good.db.gz"
    packed.write_bytes(gzip.compress(good.read_bytes()))
    ended = restore(site, str(packed), "--yes")
    assert ended.code == 0, ended.err
    assert "Warning: The upload was unpacked from gzip" in ended.err
    assert pending(site) == good.read_bytes()


@pytest.mark.parametrize("at", ["here", "there"])
def test_command_that_unwraps_a_file_can_be_copied(
    site: Site, tmp_path: Path, remote: Server, at: str
) -> None:
    wrapped = tmp_path / "my backup.age"
    wrapped.write_bytes(b"age-encryption.org/v1\n" + bytes(500))
    ended = restore(site, str(wrapped), "--yes", server=remote if at == "there" else None)
    assert ended.code == 1
    assert f"age --decrypt -i KEY_FILE -o restored.db '{wrapped}'" in ended.err


def test_copy_of_a_wal_site_s_main_file_is_questioned(
    site: Site, good: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes(good.read_bytes())
    with copy.open("r+b") as file:
        file.seek(18)
        file.write(b"\2\2")  # as the live file's header has it, in WAL mode
    asked = restore(site, str(copy), answer=b"n\n")
    assert asked.code == 1
    assert "Warning: The file was copied from a database in WAL mode" in asked.err
    assert f"sqlite3 {copy} \"VACUUM INTO 'whole.db'\"" in asked.err
    assert pending(site) is None

    for option, answer in (((), b"y\n"), (("--yes",), b"")):
        ended = restore(site, str(copy), *option, answer=answer)
        assert ended.code == 0, ended.err
        assert ended.err.count("newest rows may be missing") == 1
    assert "newest rows may be missing" in restore(site, "--status").err


@pytest.mark.parametrize("lost", [">&-", ">/dev/full"])
def test_what_is_staged_is_a_success_whoever_hears_of_it(site: Site, good: Path, lost: str) -> None:
    ended = subprocess.run(
        f"{sys.executable} {CHECKOUT}/manage.py restore_db {good} --yes {lost}",
        shell=True,
        env=environment(site.data, **site.variables),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Pending: " in ended.stderr
    assert pending(site) == good.read_bytes()


def test_closed_standard_input_is_nobody_to_answer(site: Site, good: Path) -> None:
    ended = subprocess.run(
        f"{sys.executable} {CHECKOUT}/manage.py restore_db {good} <&-",
        shell=True,
        env=environment(site.data, **site.variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Nobody can answer here: pass --yes." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert pending(site) is None


def test_quiet_restore_says_nothing(site: Site, good: Path) -> None:
    ended = restore(site, str(good), "--yes", "-v", "0")
    assert (ended.out, ended.err, ended.code) == ("", "", 0)
    assert pending(site) == good.read_bytes()
