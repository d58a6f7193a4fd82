"""What a defect is, and which ones a live database and its snapshots have."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from backups.exceptions import BrokenReferencesError
from backups.sqlite.checking.defects import Defects, look_over, new_ones, place_of
from backups.sqlite.checking.findings import MOST_FINDINGS
from backups.store import describe_defects
from tests.backups import builders
from tests.backups.sqlite.checking.live_databases import Build, defects_of, live, use_wal
from tests.backups.stores import new_store

# What is a defect


@pytest.mark.parametrize("build", builders.DEFECTS, ids=lambda build: build.__name__)
def test_defect_is_found_and_counted_in_its_place(build: Build, tmp_path: Path) -> None:
    expected: dict[Build, Defects] = {
        builders.broken_reference: {"rows of items that refer to no row of owners": 1},
        builders.null_in_not_null: {"NULL value in owners.name": 3},
        builders.broken_check: {"CHECK constraint failed in grades": 1},
        builders.old_parent: {"rows of items that refer to no row of owners__old": 1},
        builders.parent_without_key: {
            'foreign key mismatch - "likes" referencing "owners"': 1,
            "rows of items that refer to no row of owners": 1,
        },
        builders.unindexed: {"rows missing from index some_names": 1},
        builders.duplicates: {"non-unique entry in index owners_by_name": 1},
    }
    assert defects_of(build(tmp_path / "x.db")) == expected[build]


@pytest.mark.parametrize(
    "finding",
    [
        "*** in database main *** Page 3: btreeInitPage() returns error code 11",
        "*** in database main *** row 1 missing from index x",
        "*** in database main *** Page 7 is never used",
        "Tree 3 page 3 cell 1: 2nd reference to page 9",
        "row not in PRIMARY KEY order for keyed",
        "Freelist: size is 3 but should be 2",
        "database disk image is malformed",
        "SQLite can't read it: malformed database schema (NULL value in x.y)",
        "In RTree main.places: Node 1 missing from database",
    ],
)
def test_what_is_of_trees_and_pages_is_damage(finding: str) -> None:
    assert place_of(finding) is None


@pytest.mark.parametrize(
    ("finding", "place"),
    [
        ("rowid -7 missing from index x", "rows missing from index x"),
        ("row 3 values differ from index x", "rows that differ from index x"),
        ("rowid not at end-of-record for row 3 of index x", "wrong entries in index x"),
        ("TEXT value in t.c", "TEXT value in t.c"),
        ("non-INTEGER value in t.c", "non-INTEGER value in t.c"),
        ("malformed inverted index for FTS5 table main.f", None),
        ("row None of keyed refers to a row of t that is not there", None),
    ],
)
def test_what_is_of_a_row_or_an_index_is_a_defect(finding: str, place: str | None) -> None:
    assert place_of(finding) is not None
    assert place in (None, place_of(finding))


def test_defects_that_are_more_than_before_are_new() -> None:
    assert new_ones({"a": 3, "b": 1, "c": 2}, {"a": 3, "b": 0, "d": 9}) == {"b": 1, "c": 2}
    many = {f"place {number}": 1000 for number in range(MOST_FINDINGS + 2)}
    assert describe_defects(many).startswith("place 0 (1,000), place 1 (1,000)")
    assert describe_defects(many).endswith("and 2 more kinds")


# What a snapshot tells of them when it is taken


def test_compact_snapshot_tells_how_many_defects_it_has(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    for build, expected in (
        (builders.healthy, {}),
        (builders.broken_reference, {"rows of items that refer to no row of owners": 1}),
        (builders.null_in_not_null, {"NULL value in owners.name": 3}),
        (builders.parent_without_key, defects_of(builders.parent_without_key(tmp_path / "x.db"))),
    ):
        store.database.unlink(missing_ok=True)
        live(store, build)
        with store.real.create_snapshot(compact=True) as snapshot:
            assert snapshot.defects == expected
        assert store.temporaries() == []


def test_snapshot_of_pages_does_not_tell(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    live(store, builders.broken_reference)
    use_wal(store)
    with store.real.create_snapshot(compact=False) as snapshot:
        assert (snapshot.method, snapshot.defects) == ("pages", None)


def test_look_that_takes_too_long_says_nothing(tmp_path: Path) -> None:
    path = builders.slow_to_check(tmp_path / "large.db")
    with closing(sqlite3.connect(":memory:")) as connection:
        assert look_over(connection, path, seconds=0.0) is None


def test_database_that_cannot_be_written_anew_is_taken_as_its_pages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """``VACUUM INTO`` fails of a function that is gone."""
    store = new_store(tmp_path)
    live(store, builders.unknown_function)
    with store.real.create_snapshot(compact=True) as snapshot:
        assert snapshot.method == "pages"
    assert "the pages are taken instead of a compact snapshot" in caplog.text


def test_looking_for_defects_leaves_the_live_database_as_it_is(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    builders.hot_wal(store.database, "old")
    before = store.folder()
    with pytest.raises(BrokenReferencesError):
        store.stage(builders.broken_reference(tmp_path / "bad.db"))
    after = store.folder()
    for content in (before, after):
        content.pop("tasks.db-shm")  # any reader may write to it
    assert after == before
