"""``manage.py backups verify`` and ``keygen``, and what a list shows of both."""

import re
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from backups.archive import services
from backups.archive.services import StoredSnapshot
from tests.backups.archive.stored_in import store_in
from tests.backups.uploads import add_tasks, snapshot_of
from tests.site import Site


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    """Where snapshots are stored."""
    store_in(settings, location=tmp_path / "stored")
    return tmp_path / "stored"


@pytest.fixture
def two(live: Site, folder: Path) -> list[StoredSnapshot]:
    """Two stored snapshots, the older one first."""
    first = services.store(by="tester").snapshot
    add_tasks(live.database, "one")
    return [first, services.store(by="tester").snapshot]


def run(*words: str) -> tuple[str, str, str]:
    """What it prints, what it says, and the error that it ends with."""
    out, err = StringIO(), StringIO()
    try:
        call_command("backups", *words, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), str(error)
    return out.getvalue(), err.getvalue(), ""


@pytest.mark.parametrize("words", [(), ("latest",), ("--latest",)])
def test_the_newest_one_is_verified(two: list[StoredSnapshot], words: tuple[str, ...]) -> None:
    out, err, error = run("verify", *words)
    assert out.startswith(f"{two[1].name}: restorable, ")
    assert out.endswith(" seconds\n")
    assert (err, error) == ("", "")
    listed, _, _ = run("list")
    assert [line.split()[4] for line in listed.splitlines()] == ["restorable", "not"]


def test_each_is_verified_and_what_is_missing_is_told(
    two: list[StoredSnapshot], folder: Path
) -> None:
    (folder / two[1].name).unlink()
    out, _, error = run("verify", "--all")
    good, missing = out.splitlines()
    assert good.startswith(f"{two[0].name}: restorable, ")
    assert missing.startswith(f"{two[1].name}: damaged: The stored file is missing in the folder ")
    assert error == "1 of 2 snapshots could not be proven to be restorable."
    listed, _, _ = run("list")
    assert listed.splitlines()[1] == f"{two[1].name} is missing: only its manifest is left."


def test_file_is_verified(live: Site, tmp_path: Path) -> None:
    path = snapshot_of(live, tmp_path / "snapshot.db")
    out, _, error = run("verify", str(path))
    assert out.startswith(f"{path}: restorable, ")
    assert error == ""
    path.write_bytes(b"nothing")
    out, _, error = run("verify", str(path))
    assert out.startswith(f"{path}: damaged: ")
    assert error == "The snapshot could not be proven to be restorable."


@pytest.mark.parametrize("word", ["/nowhere/snapshot.db", "./20260101-000000", "/"])
def test_path_without_a_file_is_an_error(two: list[StoredSnapshot], word: str) -> None:
    assert run("verify", word) == ("", "", f"There is no file {word}.")


def test_encrypted_one_takes_its_key(live: Site, folder: Path, settings: Settings) -> None:
    key = folder.parent / "key.txt"
    public, advice, error = run("keygen", "-o", str(key))
    assert error == ""
    assert "manage.py backups verify latest --identity FILE" in advice
    assert f'BACKUPS_RECIPIENTS = ["{public.strip()}"]' in advice
    settings.BACKUPS_RECIPIENTS = [public.strip()]
    stored = services.store(by="tester").snapshot
    assert run("verify")[0].startswith(f"{stored.name}: could not be verified: ")
    [line] = run("list")[0].splitlines()
    assert re.search(r"  could not be verified \(tried at \S+Z\), encrypted$", line)
    assert "no secret key was named" in run("show", "latest")[0]
    assert run("verify", "--identity", str(key))[0].startswith(f"{stored.name}: restorable, ")
    _, said, error = run("verify")
    assert said.startswith("Warning: The earlier result stays: restorable, verified at ")
    assert error != ""


def test_key_is_not_written_over_another(live: Site, tmp_path: Path) -> None:
    assert run("keygen", "-o", str(tmp_path))[2] == ""
    path = tmp_path / "backups-secret-key.txt"
    before = path.read_text()
    assert "is never overwritten" in run("keygen", "-o", str(tmp_path))[2]
    assert "reserved for" in run("keygen", "-o", f"{live.database}.key")[2]
    assert path.read_text() == before


def test_nothing_stored_is_an_error(live: Site, folder: Path) -> None:
    assert "Nothing is stored in the folder " in run("verify")[2]
    assert "Nothing is stored yet" in run("verify", "--all")[2]
