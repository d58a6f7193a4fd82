"""Which pg_dump is taken. The programs here only say their version."""

from pathlib import Path

import pytest

from backups.exceptions import BackupNotSupportedError
from backups.postgres import programs
from backups.postgres.programs import check_can_restore, find_programs, find_programs_for


def make_programs(folder: Path, version: str) -> Path:
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        script = folder / name
        script.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        script.chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(programs, "PLACES", (f"{tmp_path}/releases/*/bin",))


def test_the_newest_of_all_places_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    make_programs(tmp_path / "path", "15.18 (Debian 15.18-0+deb12u1)")
    (tmp_path / "releases/18").mkdir(parents=True)
    newest = make_programs(tmp_path / "releases/18/bin", "18.6")
    found = find_programs(None)
    assert (found.version, found.pg_dump) == (18, newest / "pg_dump")
    assert found.pg_restore == newest / "pg_restore"


def test_a_folder_that_is_chosen_is_the_only_one(tmp_path: Path) -> None:
    make_programs(tmp_path / "path", "18.6")
    chosen = make_programs(tmp_path / "chosen", "16beta1")
    assert find_programs(chosen).version == 16


def test_those_of_the_servers_own_release_come_first_and_then_those_that_can_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    for version in ("15.18", "16.2", "18.6"):
        (tmp_path / "releases" / version).mkdir(parents=True)
        make_programs(tmp_path / "releases" / version / "bin", version)
    assert [find_programs_for(None, each).version for each in (14, 15, 16, 17)] == [16, 15, 16, 18]


def test_a_restore_into_a_server_that_lacks_a_setting_is_refused_before_it_begins(
    tmp_path: Path,
) -> None:
    newest = find_programs(make_programs(tmp_path / "18", "18.6"))
    for server in (17, 18):
        check_can_restore(newest, server)
    check_can_restore(find_programs(make_programs(tmp_path / "16", "16.2")), 15)
    with pytest.raises(
        BackupNotSupportedError, match="can't restore into a server of Post"
    ) as caught:
        check_can_restore(newest, 15)
    assert "client programs of the server's release" in caught.value.hint


def test_an_older_one_than_the_server_is_refused_by_name(tmp_path: Path) -> None:
    chosen = make_programs(tmp_path / "chosen", "15.18")
    assert find_programs_for(chosen, 15).version == 15
    with pytest.raises(BackupNotSupportedError) as caught:
        find_programs_for(chosen, 18)
    assert f"{chosen}/pg_dump, is of PostgreSQL 15, and the server is PostgreSQL 18" in str(
        caught.value
    )
    assert "BACKUPS_POSTGRES_PROGRAMS" in caught.value.hint


@pytest.mark.parametrize("left", ["pg_dump", "pg_restore"])
def test_one_without_the_other_is_none(tmp_path: Path, left: str) -> None:
    chosen = make_programs(tmp_path / "chosen", "15.18")
    (chosen / left).unlink()
    with pytest.raises(BackupNotSupportedError, match="There is no pg_dump with its pg_restore in"):
        find_programs(chosen)


def test_one_that_does_not_say_its_version_is_none(tmp_path: Path) -> None:
    chosen = make_programs(tmp_path / "chosen", "15.18")
    (chosen / "pg_dump").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(BackupNotSupportedError):
        find_programs(chosen)


def test_a_new_release_in_the_same_place_is_seen(tmp_path: Path) -> None:
    chosen = make_programs(tmp_path / "chosen", "15.18")
    assert find_programs(chosen).version == 15
    (chosen / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 18.6'\n")
    assert find_programs(chosen).version == 18
