"""The names of the databases around a live one."""

from datetime import UTC, datetime

import pytest

from backups.postgres.names import MOST_BYTES, Names

MOMENT = datetime(2026, 11, 26, 3, 0, 0, tzinfo=UTC)
LONG = "ä" * 40  # 80 bytes, of which PostgreSQL would cut the last 17 off


def all_of(names: Names) -> list[str]:
    return [
        names.control,
        names.pending,
        names.incoming(),
        names.going(),
        names.kept(MOMENT, 99),
        names.refused(MOMENT, 99),
    ]


def test_each_name_begins_with_the_live_one() -> None:
    names = Names("tasks")
    assert names.control == "tasks_backups"
    assert names.pending == "tasks_pending_restore"
    assert names.kept(MOMENT) == "tasks_pre_restore_20261126-030000"
    assert names.kept(MOMENT, 2) == "tasks_pre_restore_20261126-030000-2"
    assert names.refused(MOMENT) == "tasks_refused_20261126-030000"


@pytest.mark.parametrize("live", ["tasks", "Täsks of ‘today’", "x" * 63, LONG])
def test_no_name_is_longer_than_the_server_takes(live: str) -> None:
    found = all_of(Names(live))
    assert all(len(name.encode()) <= MOST_BYTES for name in found)
    assert len(set(found)) == len(found)


def test_two_long_names_that_begin_alike_are_told_apart() -> None:
    one, other = Names("x" * 62 + "1"), Names("x" * 62 + "2")
    assert not {one.control, one.pending} & {other.control, other.pending}


def test_a_kept_name_tells_when_it_was_kept() -> None:
    names = Names("tasks")
    assert names.kept_at(names.kept(MOMENT)) == MOMENT
    assert names.kept_at(names.kept(MOMENT, 3)) == MOMENT


@pytest.mark.parametrize(
    "name",
    [
        "tasks",
        "tasks_pending_restore",
        "tasks_pre_restore_",
        "tasks_pre_restore_20261399-030000",
        "tasks_pre_restore_20261126-030000x",
        "tasks_pre_restore_٢٠٢٦١١٢٦-030000",
        "other_pre_restore_20261126-030000",
        "xtasks_pre_restore_20261126-030000",
    ],
)
def test_no_other_name_is_that_of_a_kept_database(name: str) -> None:
    assert Names("tasks").kept_at(name) is None


def test_only_what_is_made_for_a_moment_is_temporary() -> None:
    names = Names("tasks")
    assert names.is_temporary(names.incoming())
    assert names.is_temporary(names.going())
    for name in (
        names.live,
        names.control,
        names.pending,
        names.kept(MOMENT),
        "tasks_incoming_",
        "tasks_incoming_12345678_backups",  # the control database of another site
        Names("tasks_2").incoming(),
        "tasks_incoming_orders",
    ):
        assert not names.is_temporary(name), name
