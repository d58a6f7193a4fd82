"""Which kept copies go after a restore: none that is young, none on doubt, equal ones first."""

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from backups.disk import files
from backups.exceptions import NotEnoughSpaceError
from backups.site import outcomes
from backups.sqlite.kept import pruning
from backups.sqlite.kept.pruning import Keeping, remove
from backups.sqlite.records.receipts import (
    append_receipt,
    make_receipt,
    read_receipts,
)
from tests.backups import builders
from tests.backups.stores import Store, new_snapshot, new_store

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path)
    store.kept_days = 7
    return store


def keep(store: Store, days_ago: float, *names: str) -> Path:
    """A kept copy of so many days before NOW, which has these items."""
    path = store.paths.pre_restore(NOW - timedelta(days=days_ago))
    builders.healthy(path, *names or (str(days_ago),))
    os.utime(path, (0, (NOW - timedelta(days=days_ago)).timestamp()))
    return path


def going(
    store: Store, *, copies: int = 3, days: int = 7, but: Path | None = None, now: datetime = NOW
) -> list[Path]:
    return Keeping(copies, days).choose(
        store.paths, read_receipts(store.paths), but=but.name if but else None, now=now
    )


# How many, and how old


@pytest.mark.parametrize("but", [None, "the one just made"])
@pytest.mark.parametrize("copies", range(8))
def test_never_more_go_than_are_too_many(copies: int, but: str | None, store: Store) -> None:
    kept = [keep(store, days) for days in (40, 30, 20, 10)]
    gone = going(store, copies=copies, but=kept[-1] if but else None)
    assert gone == (kept[:-copies] if copies else [])


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_young_copy_stays_however_many_newer_ones_there_are(copies: int, store: Store) -> None:
    old = keep(store, 7.01)
    for days in (6.99, 5, 4, 3, 2, 1):
        keep(store, days)
    assert going(store, copies=copies) == [old]


def test_without_days_their_number_decides(store: Store) -> None:
    kept = [keep(store, days) for days in (3, 2, 1, 0)]
    assert going(store, copies=1, days=0) == kept[:3]


# Equal ones


def test_of_equal_copies_one_counts_and_the_newest_stays(store: Store) -> None:
    owner = keep(store, 40, "the owner's rows")
    again = [keep(store, days, "the same file") for days in (30, 20, 10)]
    assert going(store, copies=2) == again[:2]
    remove(store.paths, again[:2])
    assert store.paths.pre_restores() == [owner, again[2]]


def test_equal_copies_stay_as_long_as_there_are_not_too_many(store: Store) -> None:
    for days in (30, 20, 10):
        keep(store, days, "the same file")
    assert going(store, copies=3) == []


def test_copies_that_differ_in_one_byte_are_two(store: Store) -> None:
    kept = [keep(store, days, "a row") for days in (30, 20, 10)]
    with kept[1].open("r+b") as middle:
        middle.seek(-1, os.SEEK_END)
        middle.write(b"\x01")
    os.utime(kept[1], (0, 0))
    assert going(store, copies=2) == [kept[0]]  # as the newest one
    with mock.patch.object(pruning, "MOST_COMPARED", 1):
        assert going(store, copies=2) == [kept[0]]
    remove(store.paths, [kept[2]])
    assert going(store, copies=1) == [kept[0]]


def test_folders_are_never_equal(store: Store) -> None:
    kept = []
    for days in (30, 20, 10):
        kept.append(store.paths.pre_restore(NOW - timedelta(days=days)))
        kept[-1].mkdir()
        os.utime(kept[-1], (0, 0))  # not after NOW, whenever this test runs
    assert going(store, copies=2) == [kept[0]]


# Clocks


@pytest.mark.parametrize("name", ["19691231-235959", "19700101-000010", "29990101-000000"])
def test_copy_with_an_impossible_time_stays(name: str, store: Store) -> None:
    odd = builders.healthy(store.paths.beside(f".pre-restore-{name}"), "odd")
    os.utime(odd, (0, 0))
    kept = [keep(store, days) for days in (40, 30, 20, 10)]
    assert odd not in going(store, copies=1)
    assert set(going(store, copies=1)) <= set(kept)


@pytest.mark.parametrize("written", [-1, NOW.timestamp() + 1])
def test_copy_that_was_written_at_an_impossible_time_stays(written: float, store: Store) -> None:
    odd = keep(store, 50)
    os.utime(odd, (0, written))
    keep(store, 20)
    assert going(store, copies=1) == []


def test_copy_is_no_older_than_the_receipts_before_it(store: Store) -> None:
    """The clock told 2011 for the second of three restores."""
    order = (NOW - timedelta(days=3), datetime(2011, 1, 1, tzinfo=UTC), NOW - timedelta(days=1))
    for at in order:
        kept = builders.healthy(store.paths.pre_restore(at), str(at))
        os.utime(kept, (0, 0))
        append_receipt(store.paths, make_receipt(at, "applied", kept=kept))
    assert going(store, copies=1) == []
    late = NOW + timedelta(days=4.5)
    assert [kept.name for kept in going(store, copies=1, now=late)] == [
        "tasks.db.pre-restore-20261123-120000",
        "tasks.db.pre-restore-20110101-000000",
    ]


def test_receipt_from_the_future_keeps_no_later_copy_for_ever(store: Store) -> None:
    append_receipt(store.paths, make_receipt(datetime(2999, 1, 1, tzinfo=UTC), "staged"))
    first, second = keep(store, 20), keep(store, 10)
    for kept in (first, second):
        at = store.paths.kept_at(kept)
        append_receipt(store.paths, make_receipt(at, "applied", kept=kept))
    assert going(store, copies=1) == [first]


@pytest.mark.parametrize("end", ["20269999-999999", "00000000-000000", "20261123-024538x", "wal"])
def test_name_that_is_no_time_is_nobody_s_copy(end: str, store: Store) -> None:
    store.paths.beside(f".pre-restore-{end}").write_text("of somebody else")
    for days in (20, 10):
        keep(store, days)
    assert len(store.real.list_kept_copies()) == 2
    assert len(going(store, copies=1)) == 1


def test_list_tells_until_when_a_copy_stays(store: Store) -> None:
    young, odd = keep(store, 1), store.paths.beside(".pre-restore-29990101-000000")
    builders.healthy(odd, "odd")
    until = Keeping(3, 7).stay_until(store.paths, [], now=NOW)
    assert until == {young: NOW + timedelta(days=6), odd: None}
    assert set(Keeping(0, 7).stay_until(store.paths, [], now=NOW).values()) == {None}


# In a restore


def restored(store: Store, tmp_path: Path, *names: str) -> None:
    store.stage(new_snapshot(tmp_path, *names))
    assert store.start() is not None


@pytest.mark.proof
def test_four_uploads_in_a_row_lose_nothing(store: Store, tmp_path: Path) -> None:
    builders.hot_wal(store.database, "the owner's row")
    for number in range(6):
        (tmp_path / "snapshot.db").unlink(missing_ok=True)
        restored(store, tmp_path, str(number) if number % 2 else "the same")
    assert builders.names(store.kept()[0]) == ["the owner's row"]
    assert len(store.kept()) == 6


@pytest.mark.parametrize("now", [False, True], ids=["start", "apply now"])
def test_what_goes_is_in_the_receipt(
    now: bool, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.kept_copies = 1
    old = [keep(store, days) for days in (400, 399)]
    keep(store, -1)  # somebody's clock is wrong: it stays
    builders.healthy(store.database, "live", journal_mode="wal")
    store.stage(new_snapshot(tmp_path))
    receipt = store.apply_now() if now else store.start()
    assert receipt is not None
    assert receipt.removed == tuple(kept.name for kept in old)
    assert store.receipts()[-1]["removed"] == [kept.name for kept in old]
    assert read_receipts(store.paths)[-1] == receipt
    assert not any(kept.exists() for kept in old)
    with caplog.at_level(logging.WARNING):
        outcomes.log(receipt, None)
    assert all(kept.name in caplog.text for kept in old)


def test_nothing_goes_without_a_receipt_that_names_it(store: Store, tmp_path: Path) -> None:
    store.kept_copies = 1
    old = keep(store, 400)
    builders.healthy(store.database, "live")
    store.stage(new_snapshot(tmp_path))
    with mock.patch(
        "backups.sqlite.restores.conclude.append_receipt", side_effect=OSError(28, "full")
    ):
        receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.removed) == ("applied", ())
    assert old.exists()
    store.start()
    assert store.outcomes() == ["staged", "applied"]
    assert old.exists()


def test_copy_that_cannot_be_read_is_no_reason_to_fail(store: Store, tmp_path: Path) -> None:
    store.kept_copies = 1
    keep(store, 400)
    builders.healthy(store.database, "live")
    store.stage(new_snapshot(tmp_path))
    with mock.patch.object(Keeping, "choose", side_effect=OSError(5, "bad disk")):
        receipt = store.start()
    assert receipt is not None
    assert (receipt.outcome, receipt.removed) == ("applied", ())
    assert len(store.kept()) == 2


def test_copy_that_cannot_be_removed_goes_at_a_later_restore(store: Store, tmp_path: Path) -> None:
    store.kept_copies = 1
    builders.healthy(store.database, "live")
    old = keep(store, 400)
    store.stage(new_snapshot(tmp_path))
    with mock.patch("backups.sqlite.restores.conclude.remove", side_effect=OSError(1, "immutable")):
        assert store.start() is not None
    assert old.exists()
    (tmp_path / "snapshot.db").unlink()
    restored(store, tmp_path)
    assert not old.exists()


# A full disk


def test_full_disk_names_what_could_be_removed(store: Store) -> None:
    builders.healthy(store.database, "live")
    kept = [keep(store, days) for days in (50, 40, 30, 20, 10)]
    refused = []
    with mock.patch.object(files, "free_bytes", return_value=100):
        for work in (
            lambda: store.snapshot(compact=True),
            lambda: store.real.stage_restore([], staged_by="ann", max_bytes=10**6, at_least=1000),
        ):
            with pytest.raises(NotEnoughSpaceError) as caught:
                work()
            refused.append(caught.value.hint)
    for hint in refused:
        assert f"{kept[0].name} (24.6 kB), {kept[1].name}" in hint
        assert "and 1 more" in hint
        assert kept[-1].name not in hint, "an undo needs it"
        assert str(store.paths.folder) in hint


def test_full_disk_without_kept_copies_names_none(store: Store) -> None:
    builders.healthy(store.database, "live")
    with (
        mock.patch.object(files, "free_bytes", return_value=100),
        pytest.raises(NotEnoughSpaceError) as caught,
    ):
        store.snapshot(compact=True)
    assert caught.value.hint == "Free some space on that disk, then try again."
