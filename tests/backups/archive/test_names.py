from datetime import UTC, datetime

import pytest

from backups.archive import names
from backups.store import SUFFIXES

AT = datetime(2026, 11, 26, 3, 0, 1, 999_999, tzinfo=UTC)
PREFIX = "task.dog+-backup-"


@pytest.mark.parametrize("attempt", [1, 2, 10])
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_id_in_a_name_is_found_again(attempt: int, suffix: str, is_encrypted: bool) -> None:
    snapshot_id = names.make_id(AT, attempt)
    name = names.make_name(PREFIX, snapshot_id, suffix, is_encrypted=is_encrypted)
    assert names.id_of(PREFIX, name) == snapshot_id
    assert names.is_id(snapshot_id)
    assert names.time_of(snapshot_id) == AT.replace(microsecond=0)


def test_names_are_as_people_know_them() -> None:
    assert names.make_id(AT, 1) == "20261126-030001"
    assert names.make_id(AT, 2) == "20261126-030001-2"
    name = names.make_name("taskdog-backup-", "20261126-030001-2", ".dump", is_encrypted=True)
    assert name == "taskdog-backup-20261126-030001-2.dump.zst.age"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "taskXdog+-backup-20261126-030001.db.zst",
        "other-backup-20261126-030001.db.zst",
        f"{PREFIX}20261126-030001.db",
        f"{PREFIX}20261126-030001.db.zst.json",
        f"{PREFIX}20261126-030001.sql.zst",
        f"{PREFIX}20261126-030001.db.dump.zst",
        f"{PREFIX}20261126-030001.db.zst.age.json",
        f"{PREFIX}20261126-030001.db.zst\n",
        f"{PREFIX}20261126-030001-0.db.zst",
        f"{PREFIX}20261126-030001-.db.zst",
        f"{PREFIX}20261366-030001.db.zst",
        f"{PREFIX}20261126-256001.db.zst",
        f"{PREFIX}00010101-000000.db.zst",
        f"{PREFIX}99991231-235959.db.zst",
        f"{PREFIX}٢٠٢٦١١٢٦-030001.db.zst",
        f"more/{PREFIX}20261126-030001.db.zst",
        f"{PREFIX}20261126-030001.db.zst.backups-0123456789abcdef.part",
    ],
)
def test_any_other_file_has_no_id(name: str) -> None:
    assert names.id_of(PREFIX, name) is None


def test_the_tenth_of_a_second_comes_after_its_ninth() -> None:
    ids = [names.make_id(AT, attempt) for attempt in (10, 1, 9, 2)]
    ordered = ["20261126-030001", "20261126-030001-2", "20261126-030001-9", "20261126-030001-10"]
    assert sorted(ids, key=names.order_of) == ordered
