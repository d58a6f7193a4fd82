"""The mark of WAL mode in the first 100 bytes of real databases."""

from pathlib import Path

import pytest

from backups.sqlite.format.header import has_wal_mark, is_wal, use_rollback_journal
from tests.backups import builders


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_mark_of_wal_mode_is_that_of_a_database_in_wal_mode(
    journal_mode: str, tmp_path: Path
) -> None:
    path = builders.healthy(tmp_path / "x.db", "row", journal_mode=journal_mode)
    assert is_wal(path) is (journal_mode == "wal")
    assert not is_wal(tmp_path / "missing.db")
    assert not has_wal_mark(b"\x02" * 100), "of something else than a database"


def test_mark_of_wal_mode_is_taken_away_once(tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db", "row", journal_mode="wal")
    assert use_rollback_journal(path)
    assert builders.journal_mode(path) == "delete"
    before = path.read_bytes()
    assert not use_rollback_journal(path)
    assert path.read_bytes() == before
    assert builders.names(path) == ["row"]
