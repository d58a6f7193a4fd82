"""Stored snapshots that are tried: good ones, and each way to be damaged, refused or unreadable."""

import json
import logging
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from backups import services as stores
from backups import signals
from backups.archive import services
from backups.archive.folder_storage import FolderStorage
from backups.archive.manifest import Verification
from backups.archive.services import StoredSnapshot
from backups.exceptions import NotStoredError, OwnFileError
from tests.backups.archive.stored_in import store_in
from tests.backups.uploads import NOW, add_tasks, snapshot_of
from tests.site import Site


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Where snapshots are stored."""
    store_in(settings, location=tmp_path / "stored")
    return tmp_path / "stored"


@pytest.fixture
def stored(live: Site) -> StoredSnapshot:
    """A snapshot of three tasks, as it is stored if nobody sets anything."""
    add_tasks(live.database, "one", "two", "three")
    return services.store(by="tester").snapshot


@pytest.fixture
def key(tmp_path: Path, settings: Settings) -> Path:
    """A secret key; what is stored is encrypted to its public half."""
    path = tmp_path / "key.txt"
    settings.BACKUPS_RECIPIENTS = [services.create_key_file(path)]
    return path


@pytest.fixture
def encrypted(key: Path, live: Site) -> StoredSnapshot:
    """The same, encrypted."""
    add_tasks(live.database, "one", "two", "three")
    return services.store(by="tester").snapshot


def verify(stored: StoredSnapshot, **options: Any) -> Verification:
    """Try it; the result is kept with it."""
    found = services.verify(stored.id, by="tester", **options)
    assert kept(stored) == found
    return found


def kept(stored: StoredSnapshot) -> Verification | None:
    (found,) = [each for each in services.list_snapshots() if each.id == stored.id]
    return found.verification


def change(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def change_manifest(folder: Path, stored: StoredSnapshot, **changes: Any) -> None:
    path = folder / f"{stored.name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# Good ones


def test_good_one_is_restorable_and_its_rows_are_counted(
    live: Site, stored: StoredSnapshot
) -> None:
    before = live.names() - {"tasks.db.sent-snapshots.jsonl"}
    database = live.database.read_bytes()
    found = verify(stored)
    assert live.database.read_bytes() == database
    # That the snapshot was sent can be noted some moments later.
    assert live.names() - {"tasks.db.sent-snapshots.jsonl"} == before, "something is left"
    assert (found.outcome, found.reason, found.migrations) == ("restorable", "", 0)
    assert stored.manifest is not None
    assert stored.manifest.rows["tasks"] == 3
    assert found.rows == sum(stored.manifest.rows.values())
    assert found.tables == len(stored.manifest.rows)
    assert found.sentence.startswith(f"restorable, {found.rows} rows in {found.tables} tables, ")


def test_encrypted_one_takes_its_key(encrypted: StoredSnapshot, key: Path) -> None:
    assert verify(encrypted, identity_file=key).is_good


@pytest.mark.proof  # its migration is a process of the whole site
def test_older_one_is_brought_to_this_release(live: Site) -> None:
    with closing(sqlite3.connect(live.database)) as connection:
        connection.execute("DROP TABLE django_session")
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        connection.commit()
    stored = services.store(by="tester").snapshot
    found = verify(stored)
    assert (found.outcome, found.migrations) == ("restorable", 1)
    assert stored.manifest is not None
    assert found.tables == len(stored.manifest.rows) + 1


def test_rows_of_login_sessions_are_not_missed(live: Site) -> None:
    with closing(sqlite3.connect(live.database)) as connection:
        connection.execute(
            "INSERT INTO django_session VALUES ('key', 'data', ?)", ("2099-01-01 00:00:00",)
        )
        connection.commit()
    stored = services.store(by="tester").snapshot
    assert stored.manifest is not None
    assert stored.manifest.rows["django_session"] == 1
    assert verify(stored).is_good


def test_pending_restore_is_not_touched(live: Site, stored: StoredSnapshot, tmp_path: Path) -> None:
    chunks = [snapshot_of(live, tmp_path / "snapshot.db", "pending").read_bytes()]
    staged = stores.stage_restore(chunks, staged_by="tester")
    assert verify(stored).is_good
    pending = stores.get_restore_status().pending
    assert pending is not None
    assert pending.sha256 == staged.sha256


def test_site_and_log_are_told(
    live: Site, stored: StoredSnapshot, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[dict[str, Any]] = []

    def hear(**arguments: Any) -> None:
        told.append(arguments)

    signals.snapshot_verified.connect(hear)
    try:
        with caplog.at_level(logging.INFO, "backups.archive"):
            found = verify(stored)
    finally:
        signals.snapshot_verified.disconnect(hear)
    (arguments,) = told
    assert arguments["verification"] == found
    assert arguments["stored"].verification == found
    assert f"{stored.name} verified by tester: {found.sentence}" in caplog.text
    state = services.read_state()
    assert (state.verified_id, state.last_verified) == (stored.id, found.at)


# Damaged ones


@pytest.mark.parametrize("place", [0, 1000, -1], ids=lambda place: f"byte {place}")
def test_flipped_bit_is_found(folder: Path, stored: StoredSnapshot, place: int) -> None:
    change(folder / stored.name, lambda content: flipped(content, place % len(content)))
    found = verify(stored)
    assert found.outcome == "damaged", found
    assert "The upload" not in found.reason


# Of the name of the format, of the part for the key (which looks like another key's), of the
# header's end, and of the content.
@pytest.mark.parametrize("place", [3, 60, 110, 1000, -1], ids=lambda place: f"byte {place}")
@pytest.mark.parametrize("has_key", [True, False], ids=["with the key", "without"])
def test_flipped_bit_of_an_encrypted_one_is_found(
    folder: Path, encrypted: StoredSnapshot, key: Path, place: int, has_key: bool
) -> None:
    change(folder / encrypted.name, lambda content: flipped(content, place % len(content)))
    found = verify(encrypted, identity_file=key if has_key else None)
    assert found.outcome == "damaged", found


@pytest.mark.parametrize("length", [0, 1000, -1], ids=lambda length: f"{length} bytes")
def test_shorter_one_is_found(folder: Path, stored: StoredSnapshot, length: int) -> None:
    change(folder / stored.name, lambda content: content[:length])
    assert verify(stored).outcome == "damaged"
    (sentence,) = services.look()
    assert sentence.startswith(f"{stored.name} in the folder "), "a look finds it too"
    assert services.read_state().last_error.startswith(f"{stored.name}: damaged: ")


@pytest.mark.parametrize("length", [0, 3, 150, 1000, -1], ids=lambda length: f"{length} bytes")
def test_shorter_encrypted_one_is_found(
    folder: Path, encrypted: StoredSnapshot, key: Path, length: int
) -> None:
    change(folder / encrypted.name, lambda content: content[:length])
    assert verify(encrypted, identity_file=key).outcome == "damaged"


def test_one_that_was_swapped_for_another_good_one_is_found(
    live: Site, stored: StoredSnapshot, folder: Path
) -> None:
    add_tasks(live.database, "four")
    other = services.store(by="tester").snapshot
    os.replace(folder / other.name, folder / stored.name)
    assert verify(stored).outcome == "damaged"


def test_missing_one_is_found(folder: Path, stored: StoredSnapshot) -> None:
    (folder / stored.name).unlink()
    found = services.verify(stored.id, by="tester")
    assert found.outcome == "damaged"
    assert "The stored file is missing in the folder" in found.reason
    manifest = json.loads((folder / f"{stored.name}.json").read_text())
    assert manifest["verification"]["outcome"] == "damaged"
    (sentence,) = services.look()
    assert sentence.startswith(f"{stored.name} is missing in the folder ")
    assert services.list_missing() == [stored.name]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ({"tasks": 4}, "It is not what was stored: tasks has 3 rows, and had 4."),
        ({"gone": 7}, "It is not what was stored: gone is missing, with its 7 rows."),
        (
            dict.fromkeys("abcde", 2),
            "It is not what was stored: a is missing, with its 2 rows; b is missing, with its 2"
            " rows; c is missing, with its 2 rows; and 2 more.",
        ),
    ],
    ids=["fewer rows", "no table", "many"],
)
def test_other_rows_than_the_manifest_says_are_found(
    folder: Path, stored: StoredSnapshot, rows: dict[str, int], sentence: str
) -> None:
    change_manifest(folder, stored, rows=rows)
    found = verify(stored)
    assert (found.outcome, found.reason) == ("damaged", sentence)


def test_database_that_was_damaged_when_it_was_stored_is_found(live: Site) -> None:
    with closing(sqlite3.connect(live.database)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'auth_permission'"
        ).fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    change(
        live.database,
        lambda content: content[: (page - 1) * 4096] + bytes(4096) + content[page * 4096 :],
    )
    stored = services.store(by="tester").snapshot
    assert verify(stored).outcome == "damaged"


# Refused ones: they are whole


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            f"INSERT INTO django_migrations VALUES (999, 'tasks', '0099_tomorrow', '{NOW}')",
            "Update this site to the release that made the snapshot first.",
        ),
        ("CREATE VIEW strange AS SELECT 1", "has the view strange"),
    ],
    ids=["newer", "unknown schema"],
)
def test_one_that_this_release_would_refuse_is_not_called_damaged(
    live: Site, statement: str, words: str
) -> None:
    with closing(sqlite3.connect(live.database)) as connection:
        connection.execute(statement)
        connection.commit()
        stored = services.store(by="tester").snapshot
        connection.execute("DROP VIEW IF EXISTS strange")  # the site goes back
        connection.execute("DELETE FROM django_migrations WHERE id = 999")
        connection.commit()
    found = verify(stored)
    assert found.outcome == "refused"
    assert words in found.reason


# Unreadable ones: nothing is said against them


def test_encrypted_one_without_a_key_is_unreadable_and_its_bytes_are_compared(
    encrypted: StoredSnapshot, settings: Settings
) -> None:
    found = verify(encrypted)
    assert found.outcome == "unreadable"
    assert "no secret key was named" in found.reason
    assert f"It is encrypted to {settings.BACKUPS_RECIPIENTS[0]}." in found.reason
    assert services.read_state().last_error == ""
    assert "The stored file has not changed." in found.reason


def test_wrong_key_does_not_replace_an_earlier_result(
    encrypted: StoredSnapshot, key: Path, tmp_path: Path
) -> None:
    good = verify(encrypted, identity_file=key)
    services.create_key_file(tmp_path / "other.txt")
    found = services.verify(encrypted.id, by="tester", identity_file=tmp_path / "other.txt")
    assert (found.outcome, kept(encrypted)) == ("unreadable", good)
    assert "fits" in found.reason
    assert found.warnings[0].startswith("The earlier result stays: restorable, verified at 20")


def test_full_disk_is_not_its_fault(stored: StoredSnapshot, settings: Settings) -> None:
    settings.BACKUPS_KEEP_FREE_BYTES = 2**60
    # The manifest can't be replaced then either: it is in a folder of the same disk.
    found = services.verify(stored.id, by="tester")
    assert found.outcome == "unreadable"
    assert "bytes in " in found.reason


def test_too_many_checks_are_not_its_fault(stored: StoredSnapshot) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(stores.take_upload_turn())
        assert verify(stored).outcome == "unreadable"


def test_time_limit_is_not_its_fault(stored: StoredSnapshot, settings: Settings) -> None:
    settings.BACKUPS_CHECK_SECONDS = 0.0
    found = verify(stored)
    assert found.outcome == "unreadable"
    assert "raise BACKUPS_CHECK_SECONDS" in found.reason


class Failing(FolderStorage):
    """A storage that fails in the middle of each file but the manifests."""

    def read(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        content = b"".join(super().read(name, first, last))
        if name.endswith(".json"):
            yield content
            return
        yield content[: len(content) // 2]
        raise OSError(5, "Input/output error")


class FlippingOnce(FolderStorage):
    """A storage, or the line to it, that changes a bit of the first answer."""

    answers = 0

    def read(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        content = b"".join(super().read(name, first, last))
        if not name.endswith(".json"):
            self.answers += 1
            content = flipped(content, 1000) if self.answers == 1 else content
        yield content


class Unchanging(FolderStorage):
    """A storage that lets nobody replace a file, as one with a retention lock."""

    def replace(self, name: str, content: bytes) -> None:
        raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("packed", ["stored", "encrypted"])
def test_storage_that_fails_in_the_middle_is_not_its_fault(
    folder: Path, settings: Settings, request: pytest.FixtureRequest, packed: str
) -> None:
    snapshot = request.getfixturevalue(packed)
    key = request.getfixturevalue("key") if packed == "encrypted" else None
    store_in(settings, Failing, location=folder)
    found = verify(snapshot, identity_file=key)
    assert found.outcome == "unreadable"
    assert f"{snapshot.name} could not be read: [Errno 5] Input/output error." in found.reason


def test_damage_that_is_gone_at_the_second_look_was_of_the_line(
    folder: Path, stored: StoredSnapshot, settings: Settings
) -> None:
    store_in(settings, FlippingOnce, location=folder)
    assert verify(stored).is_good


def test_storage_that_replaces_nothing_is_a_warning(
    folder: Path, stored: StoredSnapshot, settings: Settings
) -> None:
    store_in(settings, Unchanging, location=folder)
    found = services.verify(stored.id, by="tester")
    assert found.is_good
    (warning,) = found.warnings
    assert warning.startswith("The result could not be kept: ")


def test_one_without_a_manifest_is_tried_and_the_result_told(
    folder: Path, stored: StoredSnapshot
) -> None:
    (folder / f"{stored.name}.json").unlink()
    found = services.verify("latest", by="tester")
    assert found.is_good
    assert "has no readable manifest" in found.warnings[0]


def test_result_is_told_although_nothing_can_be_remembered(
    live: Site, stored: StoredSnapshot, caplog: pytest.LogCaptureFixture
) -> None:
    state = live.data / "tasks.db.backups-state.json"
    state.unlink()
    state.mkdir()
    assert services.verify(stored.id, by="tester").is_good
    assert "the state of the backups can't be written" in caplog.text


class Deleting(FolderStorage):
    """A storage from which somebody deletes a snapshot while it is read."""

    def read(self, name: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        if name.endswith(".json"):
            yield from super().read(name, first, last)
            return
        self.delete(name)
        self.delete(f"{name}.json")
        raise FileNotFoundError(2, "No such file or directory")


def test_one_that_is_deleted_meanwhile_is_not_called_damaged(
    folder: Path, stored: StoredSnapshot, settings: Settings
) -> None:
    store_in(settings, Deleting, location=folder)
    with pytest.raises(NotStoredError):
        services.verify(stored.id, by="tester")


def test_unknown_one_is_an_error(stored: StoredSnapshot) -> None:
    with pytest.raises(NotStoredError):
        services.verify("20200101-000000", by="tester")


# Other programs


def shell(command: str, folder: Path) -> str:
    ended = subprocess.run(
        ["bash", "-o", "pipefail", "-ec", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.proof  # it needs the programs age and zstd
def test_stored_file_is_restored_without_this_software(
    folder: Path, encrypted: StoredSnapshot, key: Path, tmp_path: Path
) -> None:
    (tmp_path / "FILE").write_bytes((folder / encrypted.name).read_bytes())
    command = "age -d -i key.txt FILE | zstd -d > db && sqlite3 db 'pragma integrity_check'"
    assert shell(command, tmp_path) == "ok\n"
    assert shell("sqlite3 db 'SELECT name FROM tasks ORDER BY id'", tmp_path) == "one\ntwo\nthree\n"


@pytest.mark.proof  # it needs the programs age and zstd
@pytest.mark.parametrize(
    "command",
    [
        "cp snapshot.db FILE",
        "gzip < snapshot.db > FILE",
        "zstd -q -19 < snapshot.db > FILE",
        "zstd -q < snapshot.db | age -r $(age-keygen -y key.txt) > FILE",
        "age -a -r $(age-keygen -y key.txt) < snapshot.db > FILE",
    ],
)
def test_file_that_other_programs_made_is_verified(
    live: Site, tmp_path: Path, command: str
) -> None:
    snapshot_of(live, tmp_path / "snapshot.db", "one")
    shell(f"age-keygen -o key.txt && {command}", tmp_path)
    before = live.names()
    found = services.verify_file(tmp_path / "FILE", identity_file=tmp_path / "key.txt")
    assert found.is_good, found
    assert live.names() == before


def test_file_that_is_no_snapshot_is_damaged(live: Site, tmp_path: Path) -> None:
    (tmp_path / "FILE").write_text("Dear operator")
    found = services.verify_file(tmp_path / "FILE")
    assert (found.outcome, found.warnings) == ("damaged", ())


def test_file_that_can_not_be_read_is_unreadable(live: Site, tmp_path: Path) -> None:
    found = services.verify_file(tmp_path)
    assert (found.outcome, found.reason) == (
        "unreadable",
        f"{tmp_path} can't be read: Is a directory.",
    )


def test_live_database_is_not_tried(live: Site) -> None:
    with pytest.raises(OwnFileError):
        services.verify_file(live.database)


def test_missing_file_is_an_error(live: Site, tmp_path: Path) -> None:
    with pytest.raises(NotStoredError, match="There is no file"):
        services.verify_file(tmp_path / "FILE")
