"""The raw copies of a database that SQLite can't read."""

import os
from pathlib import Path

import pytest

from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.kept.keep import free_name, retired
from tests.backups import builders
from tests.backups.sqlite.kept.test_keep import MOMENT, NAME


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path / "tasks.db")


def test_ruined_database_is_kept_byte_for_byte_with_its_wal(paths: StorePaths) -> None:
    builders.ruined(paths.database)
    before = builders.folder(paths.folder)
    with retired(paths, free_name(paths, MOMENT)) as kept:
        assert not any(sidecar.exists() for sidecar in paths.sidecars)
    assert kept is not None
    after = builders.folder(kept)
    assert {name: after[name] for name in before} == before
    assert paths.database.read_bytes() == before["tasks.db"], "the live name is never missing"
    assert kept.stat().st_mode & 0o777 == 0o700


def test_wal_without_its_database_is_kept(paths: StorePaths) -> None:
    builders.orphan_wal(paths.database, "row")
    before = builders.folder(paths.folder)
    with retired(paths, free_name(paths, MOMENT)) as kept:
        assert os.listdir(paths.folder) == [NAME]
    assert kept is not None
    assert builders.folder(kept) == before


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "zero bytes"])
def test_where_there_was_nothing_nothing_is_kept(content: bytes | None, paths: StorePaths) -> None:
    if content is not None:
        paths.database.write_bytes(content)
    with retired(paths, free_name(paths, MOMENT)) as kept:
        assert kept is None
    assert not paths.pre_restores()


def test_raw_sets_of_the_same_second_are_not_overwritten(paths: StorePaths) -> None:
    builders.text(paths.database)
    (paths.folder / NAME).mkdir()
    with retired(paths, free_name(paths, MOMENT)) as kept:
        pass
    assert kept is not None
    assert kept.name == f"{NAME}-2"
    assert os.listdir(paths.folder / NAME) == []
