import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from backups.archive import names
from backups.archive.catalog import StoredSnapshot
from backups.archive.retention import (
    RULES,
    Verdict,
    find_last_good,
    is_damaged,
    judge,
    read_keep,
)
from backups.conf import DEFAULT_KEEP
from backups.exceptions import KeepError
from tests.backups.archive.entries import HELD, entry, found

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 12, 1, tzinfo=UTC)

# Ids (UTC), and what each rule keeps of them; the days are those of Berlin.
COUNTED: dict[str, tuple[list[str], dict[str, int], list[str]]] = {
    "the newest ones": (
        ["20261101-120000", "20261102-120000", "20261103-120000"],
        {"last": 2},
        ["20261103-120000", "20261102-120000"],
    ),
    "several in one second": (
        ["20261103-120000", "20261103-120000-2", "20261103-120000-10", "20261103-115959"],
        {"last": 2},
        ["20261103-120000-10", "20261103-120000-2"],
    ),
    "several in one second of one day": (
        ["20261103-120000", "20261103-120000-2", "20261102-120000", "20261101-120000"],
        {"daily": 2},
        ["20261103-120000-2", "20261102-120000"],
    ),
    "the newest of each hour, also across midnight": (
        ["20261103-213000", "20261103-223000", "20261103-225959", "20261103-230000"],
        {"hourly": 2},
        ["20261103-230000", "20261103-225959"],
    ),
    "days begin at midnight in the site's zone": (
        ["20261102-220000", "20261102-230000", "20261103-225959", "20261103-230000"],
        {"daily": 2},
        ["20261103-230000", "20261103-225959"],
    ),
    "days that have one, however long ago": (
        ["20240101-120000", "20250101-120000", "20260101-120000"],
        {"daily": 2},
        ["20260101-120000", "20250101-120000"],
    ),
    "weeks begin on Monday, and one may lie in two years": (
        ["20251228-120000", "20251229-120000", "20260101-120000", "20260104-225959"],
        {"weekly": 2},
        ["20260104-225959", "20251228-120000"],
    ),
    "the newest of each month and year": (
        ["20250630-120000", "20251231-225959", "20251231-230000", "20260131-120000"],
        {"monthly": 2, "yearly": 1},
        ["20260131-120000", "20251231-225959"],
    ),
    "the oldest while places are left": (
        ["20261101-080000", "20261101-100000", "20261103-120000"],
        {"daily": 3},
        ["20261103-120000", "20261101-100000", "20261101-080000"],
    ),
    "the oldest no more when all places are taken": (
        ["20261101-080000", "20261101-100000", "20261103-120000"],
        {"daily": 2},
        ["20261103-120000", "20261101-100000"],
    ),
    # 2026-03-29: after 01:59 comes 03:00. 2026-10-25: after 02:59 comes 02:00.
    "no hour is lost in spring": (
        ["20260328-233000", "20260329-003000", "20260329-013000", "20260329-023000"],
        {"hourly": 3},
        ["20260329-023000", "20260329-013000", "20260329-003000"],
    ),
    "the hour that comes twice in autumn is two": (
        ["20261024-233000", "20261025-003000", "20261025-013000", "20261025-023000"],
        {"hourly": 3},
        ["20261025-023000", "20261025-013000", "20261025-003000"],
    ),
    "a day of 23 hours": (
        ["20260328-225959", "20260328-230000", "20260329-215959", "20260329-220000"],
        {"daily": 2},
        ["20260329-220000", "20260329-215959"],
    ),
    "a day of 25 hours": (
        ["20261024-215959", "20261024-220000", "20261025-225959", "20261025-230000"],
        {"daily": 2},
        ["20261025-230000", "20261025-225959"],
    ),
}


def verdicts(
    snapshots: Iterable[StoredSnapshot], keep: Mapping[str, int] | None, *, now: datetime = NOW
) -> dict[str, Verdict]:
    return {each.snapshot.id: each for each in judge(snapshots, keep, now=now, zone=BERLIN)}


def kept(snapshots: Iterable[StoredSnapshot], keep: Mapping[str, int]) -> list[str]:
    return [key for key, verdict in verdicts(snapshots, keep).items() if verdict.is_kept]


@pytest.mark.parametrize("case", COUNTED)
def test_rules_keep(case: str) -> None:
    ids, keep, expected = COUNTED[case]
    assert kept(map(entry, ids), keep) == expected
    assert kept(map(entry, reversed(ids)), keep) == expected


def test_a_kept_one_says_each_rule_that_keeps_it_and_another_that_none_does() -> None:
    ids = ["20261103-120000", "20261103-110000", "20261103-100000", "20261102-120000"]
    answer = verdicts(map(entry, ids), {"last": 2, "daily": 2})
    assert [verdict.reasons for verdict in answer.values()] == [
        ("last good one", "last 2", "daily"),
        ("last 2",),
        ("no rule keeps it",),
        ("daily",),
    ]


def test_held_one_stays() -> None:
    answer = verdicts([entry("20261103-120000"), entry("20260101-120000", hold=HELD)], {"last": 1})
    assert answer["20260101-120000"].reasons == ("held",)


def test_the_newest_that_was_found_restorable_is_the_last_good_one() -> None:
    snapshots = [
        entry("20261103-120000"),
        entry("20261102-120000", verification=found("unreadable")),
        entry("20261101-120000", verification=found("restorable")),
        entry("20261031-120000", verification=found("restorable")),
    ]
    answer = verdicts(snapshots, {"last": 1})
    assert answer["20261101-120000"].reasons == ("last good one",)
    assert [each.is_kept for each in answer.values()] == [True, False, True, False]


def test_if_none_was_verified_the_newest_with_nothing_against_it_is_the_last_good_one() -> None:
    snapshots = [
        replace(entry("20261104-120000"), manifest=None),
        entry("20261103-120000", verification=found("damaged")),
        replace(entry("20261102-120000", verification=found("restorable")), size=3),
        entry("20261101-130000", verification=found("refused")),
        entry("20261101-120000"),
        entry("20261031-120000"),
    ]
    good = find_last_good(snapshots, now=NOW)
    assert good == snapshots[4]
    assert find_last_good(snapshots[:4], now=NOW) == snapshots[3]
    assert find_last_good(snapshots[:3], now=NOW) is None


def test_damaged_one_takes_no_place_of_a_good_one() -> None:
    snapshots = [
        entry("20261103-120000", verification=found("damaged")),
        replace(entry("20261102-120000"), size=3),
        entry("20261101-120000"),
        entry("20261031-120000"),
        entry("20261030-120000", verification=found("damaged")),
    ]
    answer = verdicts(snapshots, {"last": 2})
    assert {key: verdict.reasons for key, verdict in answer.items()} == {
        "20261103-120000": ("last 2", "damaged"),
        "20261102-120000": ("last 2", "damaged"),
        "20261101-120000": ("last good one", "last 2"),
        "20261031-120000": ("last 2",),
        "20261030-120000": ("no rule keeps it", "damaged"),
    }


def test_one_without_a_manifest_stays_and_takes_no_place() -> None:
    snapshots = [replace(entry("20261103-120000"), manifest=None), entry("20261102-120000")]
    answer = verdicts(snapshots, {"last": 1})
    assert answer["20261103-120000"].reasons == ("no manifest that can be read",)
    assert answer["20261102-120000"].reasons == ("last good one", "last 1")


def test_clock_that_was_ahead_takes_no_place_and_one_that_is_behind_deletes_nothing() -> None:
    snapshots = [entry("20991231-120000"), entry("20261102-120000"), entry("20261101-120000")]
    answer = verdicts(snapshots, {"last": 1})
    assert answer["20991231-120000"].reasons == ("its time is in the future",)
    assert answer["20261102-120000"].reasons == ("last good one", "last 1")
    assert not answer["20261101-120000"].is_kept
    behind = verdicts(snapshots, {"last": 1}, now=datetime(1970, 1, 1, tzinfo=UTC))
    assert all(verdict.is_kept for verdict in behind.values())


def test_without_rules_everything_stays() -> None:
    answer = verdicts([entry("20261103-120000"), entry("20200101-120000")], None)
    assert answer["20200101-120000"].reasons == ("everything is kept",)


def test_the_default_keeps_as_many_as_the_docs_say() -> None:
    nightly = [names.make_id(NOW - timedelta(days=days), 1) for days in range(1, 400)]
    hourly = [names.make_id(NOW - timedelta(hours=hours), 1) for hours in range(1, 1000)]
    assert len(kept(map(entry, {*nightly, *hourly}), DEFAULT_KEEP)) == 42
    assert len(kept(map(entry, nightly), DEFAULT_KEEP)) == 35


def any_snapshots(chance: random.Random) -> list[StoredSnapshot]:
    """Any number, of any times, in any state."""
    snapshots = []
    for number in range(chance.randint(0, 12)):
        taken_at = NOW - timedelta(seconds=chance.choice((-1e6, 1e3, 1e5, 1e7)) * chance.random())
        stored = entry(
            names.make_id(taken_at, number + 1),
            hold=chance.choice((None, None, None, HELD)),
            verification=chance.choice(
                (None, None, *map(found, ("restorable", "damaged", "unreadable")))
            ),
        )
        if not chance.randrange(6):
            stored = replace(stored, size=3)
        if not chance.randrange(6):
            stored = replace(stored, manifest=None)
        snapshots.append(stored)
    return snapshots


def test_whatever_is_stored_and_wanted_the_last_good_one_stays_and_no_held_one_goes() -> None:
    chance = random.Random(14)
    for _ in range(400):
        snapshots = any_snapshots(chance)
        keep = {rule: chance.choice((0, 0, 0, 1, 3)) for rule in RULES}
        stays = [
            each.snapshot for each in judge(snapshots, keep, now=NOW, zone=BERLIN) if each.is_kept
        ]
        assert [each for each in snapshots if each.hold and each not in stays] == []
        verified = [
            each
            for each in snapshots
            if each.verification and each.verification.is_good and not each.problem
            if each.taken_at <= NOW
        ]
        if verified:
            assert max(verified, key=lambda each: names.order_of(each.id)) in stays
        if any(each.manifest and not is_damaged(each) for each in snapshots):
            assert any(each.manifest and not is_damaged(each) for each in stays)
        again = judge(stays, keep, now=NOW, zone=BERLIN)
        assert all(each.is_kept for each in again), "a second look would delete more"


@pytest.mark.parametrize(
    "given",
    [
        7,
        "last",
        ["last"],
        {},
        {"last": 0, "daily": 0},
        {"newest": 3},
        {"last": -1},
        {"last": "3"},
        {"last": 1.5},
        {"last": True},
        {"last": None},
        {1: 2},
    ],
)
def test_wrong_rules_are_refused(given: object) -> None:
    with pytest.raises(KeepError, match="BACKUPS_KEEP"):
        read_keep(given)


@pytest.mark.parametrize("given", [None, {"last": 1}, {"yearly": 100, "last": 0}, DEFAULT_KEEP])
def test_right_rules_are_taken_as_they_are(given: object) -> None:
    assert read_keep(given) == given
