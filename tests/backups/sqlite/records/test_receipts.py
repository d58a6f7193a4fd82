"""The receipts: an append-only record that outlives restores."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.records.receipts import append_receipt, parse_receipt, read_receipts
from backups.store import Receipt
from tests.backups.stand_ins import Steps, counted, refuse_with


def receipt(number: int) -> Receipt:
    return Receipt(
        id=str(number),
        at=datetime(2026, 11, 23, 2, 45, number, tzinfo=UTC),
        outcome="applied",
        reason="",
        size=4096,
        sha256="ab" * 32,
        staged_at=None if number == 2 else datetime(2026, 11, 23, tzinfo=UTC),
        staged_by="tester",
        migrations=("shop.0001_initial",),
        kept="tasks.db.pre-restore-20261123-024538",
        seconds=0.5,
    )


def test_receipts_are_read_as_they_were_written_and_in_order(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    assert read_receipts(paths) == []
    for number in (1, 2, 3):
        append_receipt(paths, receipt(number))
    assert read_receipts(paths) == [receipt(1), receipt(2), receipt(3)]
    assert paths.receipts.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [b'{"id": "1", "at": "2026-', b"\xff\xfe", b"[1]", b"null"])
def test_line_that_a_crash_cut_off_is_left_out_and_harms_no_other(
    torn: bytes, tmp_path: Path
) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    append_receipt(paths, receipt(1))
    with paths.receipts.open("ab") as end:
        end.write(torn)
    assert read_receipts(paths) == [receipt(1)]
    append_receipt(paths, receipt(3))
    assert read_receipts(paths) == [receipt(1), receipt(3)]


def test_receipt_that_cannot_be_written_leaves_those_before_it(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    append_receipt(paths, receipt(1))
    with counted(Steps(refuse_with(28), at=1)), pytest.raises(OSError, match="No space"):
        append_receipt(paths, receipt(2))
    assert read_receipts(paths) == [receipt(1)]


def test_line_of_a_later_release_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path / "tasks.db")
    append_receipt(paths, receipt(1))
    line = paths.receipts.read_bytes().strip()
    assert parse_receipt(line[:-1] + b', "weather": "fine"}') == receipt(1)
