"""The names around a database."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from backups.exceptions import BackupNotSupportedError
from backups.sqlite.folder.paths import TEMPORARY, StorePaths
from backups.sqlite.format.connection import database_file

MOMENT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)


def test_all_names_are_beside_the_real_file_behind_a_symbolic_link(tmp_path: Path) -> None:
    real = tmp_path / "volume" / "real.db"
    real.parent.mkdir()
    real.touch()
    (tmp_path / "tasks.db").symlink_to(real)
    paths = StorePaths.of(tmp_path / "tasks.db")
    assert paths.database == real
    for path in (paths.pending, paths.lock, paths.receipts, paths.manifest("ab"), *paths.sidecars):
        assert path.parent == real.parent
        assert path.name.startswith("real.db")


def test_names_of_the_same_second_differ(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    assert paths.pre_restore(MOMENT).name == "tasks.db.pre-restore-20261123-024538"
    assert paths.pre_restore(MOMENT, 2).name == "tasks.db.pre-restore-20261123-024538-2"
    assert paths.refused(MOMENT, 3).name == "tasks.db.refused-restore-20261123-024538-3"


def test_each_temporary_name_is_new_and_found_again(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    made = [paths.temporary(kind) for kind in TEMPORARY for _ in range(3)]
    for path in made:
        path.touch()
    assert len(set(made)) == len(made)
    assert paths.temporaries() == sorted(made)


def test_files_of_a_neighbour_are_not_ours(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    for name in (
        "other.db.incoming-1",
        "tasks.db2.incoming-1",
        "tasks.db.pending-restore",
        "tasks.db-wal",
    ):
        (tmp_path / name).touch()
    assert paths.temporaries() == []
    assert paths.manifests() == []
    assert paths.pre_restores() == []


def test_name_with_the_letters_of_a_pattern_matches_itself_only(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "a[bc]*?.db")
    own = paths.temporary("incoming")
    own.touch()
    (tmp_path / "ab-c.db.incoming-1").touch()
    assert paths.temporaries() == [own]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/srv/tasks.db", "/srv/tasks.db"),
        (Path("/srv/tasks.db"), "/srv/tasks.db"),
        ("file:/srv/tasks.db?cache=private", "/srv/tasks.db"),
        ("file:///srv/my%20tasks.db", "/srv/my tasks.db"),
    ],
)
def test_setting_names_a_file_as_a_path_or_as_a_uri(name: str | Path, path: str) -> None:
    assert database_file(name) == Path(path)


@pytest.mark.parametrize(
    "name", ["", ":memory:", "file::memory:?cache=shared", "file:x?mode=memory&cache=shared"]
)
def test_in_memory_database_is_unsupported(name: str) -> None:
    with pytest.raises(BackupNotSupportedError, match="lives in memory"):
        database_file(name)
