"""The kept copy of an old database: by a link, by a copy, or byte for byte as a set."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.kept.keep import free_name, retired
from tests.backups import builders
from tests.backups.stand_ins import without_hard_links
from tests.backups.stores import Store, new_store

MOMENT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)
NAME = "tasks.db.pre-restore-20261123-024538"


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    return StorePaths(tmp_path / "tasks.db")


def test_kept_copy_is_the_file_itself_under_a_second_name(paths: StorePaths) -> None:
    builders.hot_wal(paths.database, "row")
    with retired(paths, free_name(paths, MOMENT)) as kept:
        assert kept is not None
        assert kept.samefile(paths.database)
    assert kept.name == NAME
    os.unlink(paths.database)
    assert builders.names(kept) == ["row"]


def test_where_there_are_no_links_it_is_a_copy_with_the_same_mode(paths: StorePaths) -> None:
    builders.hot_wal(paths.database, "row")
    paths.database.chmod(0o640)
    with without_hard_links(), retired(paths, free_name(paths, MOMENT)) as kept:
        assert kept is not None
        assert not kept.samefile(paths.database)
    assert builders.names(kept) == ["row"]
    assert kept.stat().st_mode & 0o777 == 0o640
    assert paths.temporaries() == []


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK])
def test_other_ways_of_a_file_system_to_refuse_a_link(code: int, paths: StorePaths) -> None:
    builders.healthy(paths.database, "row")
    refused = mock.patch.object(files, "link", side_effect=OSError(code, ""))
    with refused, retired(paths, free_name(paths, MOMENT)) as kept:
        pass
    assert kept is not None
    assert builders.names(kept) == ["row"]


@pytest.mark.parametrize("links", [True, False], ids=["link", "copy"])
def test_copies_of_the_same_second_are_not_overwritten(links: bool, paths: StorePaths) -> None:
    builders.healthy(paths.database, "row")
    for name in (NAME, f"{NAME}-2"):
        (paths.folder / name).write_text("an older one")
    with (
        nullcontext() if links else without_hard_links(),
        retired(paths, free_name(paths, MOMENT)) as kept,
    ):
        pass
    assert kept is not None
    assert kept.name == f"{NAME}-3"
    assert (paths.folder / NAME).read_text() == "an older one"


BEFORE: dict[str, Callable[[Path], Path]] = {
    "DELETE mode": lambda path: builders.healthy(path, "row"),
    "WAL mode": lambda path: builders.healthy(path, "row", journal_mode="wal"),
    "ruined": builders.ruined,
    "orphan WAL": lambda path: builders.orphan_wal(path, "row"),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in which something is pending, as it is whenever a database is retired."""
    store = new_store(tmp_path)
    store.paths.pending.write_text("pending")
    yield store
    assert store.paths.pending.read_text() == "pending"


@pytest.mark.parametrize("links", [True, False], ids=["link", "copy"])
@pytest.mark.parametrize("state", BEFORE)
def test_everything_is_as_before_if_the_block_fails(state: str, links: bool, store: Store) -> None:
    BEFORE[state](store.database)
    before = store.folder()
    with (
        nullcontext() if links else without_hard_links(),
        pytest.raises(ZeroDivisionError),
        retired(store.paths, free_name(store.paths, MOMENT)),
    ):
        raise ZeroDivisionError
    _check_same(store, before, state)


def _check_same(store: Store, before: dict[str, bytes], state: str) -> None:
    """The same names, but for what SQLite rebuilds; the same bytes where it can't read them."""
    shm = store.paths.sidecars[1].name
    assert store.listing() - {shm} == set(before) - {shm}
    if state in ("ruined", "orphan WAL"):
        after = store.folder()
        assert {name: after[name] for name in before if name != shm} == {
            name: content for name, content in before.items() if name != shm
        }
    else:
        assert store.items() == ["row"]
        assert store.database.read_bytes()[18:20] == before["tasks.db"][18:20], "journal mode"
