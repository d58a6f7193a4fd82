"""The first page, over real files: what is remembered, what is stored, and what is wrong."""

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from django.db import connections
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from backups import services
from backups.archive import services as archive
from backups.archive.state import State, change_state
from backups.page import own_checks
from backups.sqlite.folder.paths import StorePaths
from tests.backups.archive.stored_in import store_in
from tests.backups.page.permissions import Nobody
from tests.backups.page.reading import read, text_of
from tests.backups.uploads import snapshot_of
from tests.site import Site

NOBODY = f"{Nobody.__module__}.{Nobody.__qualname__}"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TIMES_OF_A_STATE = (
    *("last_run", "last_due", "last_success"),
    *("current_as_of", "last_verified", "verified_as_of"),
)


@pytest.fixture(autouse=True)
def _nightly(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    settings.BACKUPS_VERIFY = "always"


def remember(**changes: Any) -> None:
    """A state that is good but for these."""
    at = datetime.now(UTC) - HOUR
    good = State(
        last_run=at,
        last_due=at,
        last_success=at,
        current_as_of=at,
        last_verified=at,
        verified_as_of=at,
        last_id="20261126-030000",
        verified_id="20261126-030000",
        last_size=12_300_000,
        successes_total=62,
    )
    change_state(lambda _: replace(good, **changes))


def write_receipts(live: Site, receipts: list[dict[str, Any]]) -> None:
    """In place of those that there are, oldest first."""
    lines = [json.dumps({"id": str(number)} | each) for number, each in enumerate(receipts)]
    StorePaths.of(live.database).backup_receipts.write_text("".join(f"{each}\n" for each in lines))


def stored(number: int, **changes: Any) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=UTC) + HOUR * number
    known = {"at": at.isoformat(), "what": "stored", "size": 10_000_000 + number, "seconds": 2.5}
    return known | changes


def test_a_real_backup_is_told_of(live: Site, ann_here: Client) -> None:
    made = archive.store(by="ann").snapshot
    archive.verify(made.id, by="ann")
    services.hold_presence()
    page = read(ann_here, "")
    text = text_of(page)
    assert "Last verified backup just now; next at 3 a.m. UTC." in text
    assert "At 03:00 every day 0 3 * * * UTC" in text
    assert re.search("Last verified just now Too old after [12] day", text)
    assert f'href="/backups/snapshots/{made.id}/"' in page
    assert page.count('<svg class="plot"') == 2
    assert "Each stored backup, the newest first" in text
    assert "the folder" in text
    assert "1 worked, 0 failed" in text
    assert re.search(rf"The database is open in pid {os.getpid()}", text)
    assert re.search(r"Free space [\d,.]+ [GM]B", text)
    assert 'action="/backups/snapshots/store/"' in page


def test_it_asks_neither_the_storage_nor_the_database(
    live: Site,
    ann_here: Client,
    settings: Settings,
    tmp_path: Path,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """A storage that hangs, or is down, must not keep anybody from reading that it is."""
    remember()
    store_in(settings, location=tmp_path / "nowhere" / "at all")
    with django_assert_num_queries(2):  # for the user, and for a check of the journal mode
        text = text_of(read(ann_here, ""))
    assert "Last verified backup 1 hour ago" in text
    assert not (tmp_path / "nowhere").exists()


def test_limit_of_an_age_stays_as_the_clock_goes_on(live: Site, ann_here: Client) -> None:
    at = datetime(2026, 11, 26, 3, 0, 2, tzinfo=UTC)
    remember(**dict.fromkeys(TIMES_OF_A_STATE, at))
    for hours in (1, 7, 23):
        with time_machine.travel(at + hours * HOUR):
            assert text_of(read(ann_here, "")).count("Too old after 2 days.") == 2


def test_time_at_the_end_of_the_calendar_breaks_no_page(live: Site, ann_here: Client) -> None:
    """As somebody may have written it by hand."""
    remember(current_as_of=datetime(9999, 12, 31, tzinfo=UTC))
    assert "Last stored" in text_of(read(ann_here, ""))


def test_a_failure_is_told_first_with_its_error(live: Site, ann_here: Client) -> None:
    error = "s3://bucket: <b>refused</b> " + "again and " * 60 + "again."
    remember(
        failures=2,
        failures_total=7,
        last_error=error,
        last_error_at=datetime.now(UTC) - HOUR,
        verified_as_of=datetime.now(UTC) - 3 * DAY,
        missed_total=4,
        problems=[f"snapshot {number} is gone." for number in range(14)],
        looked_at=datetime.now(UTC) - 2 * HOUR,
        notice_errors=("mail: [Errno 111] Connection refused",),
    )
    page = read(ann_here, "")
    text = text_of(page)
    main = text.partition("History ")[2]
    assert "No verified backup for 3 days: the last 2 backups failed: s3://bucket: <b>ref" in main
    assert main.index("No verified") < main.index("Back up now") < main.index("Last stored")
    assert "<b>refused" not in page
    assert error in text  # the whole, on demand
    assert "Show this to whoever runs the server." in main
    assert "14 stored files have been lost or changed." in text
    assert re.search("Too old: the limit is [12] day", text)
    assert "4 runs missed so far" in text
    assert "62 worked, 7 failed" in text
    assert "snapshot 9 is gone." in text
    assert "snapshot 10 is gone." not in text
    assert "And 4 more. Seen 2 hours ago." in text
    assert "The last notice could not be sent mail: [Errno 111] Connection refused" in text


def test_who_has_asked_for_no_backups_reads_how_to(
    live: Site, ann_here: Client, settings: Settings
) -> None:
    settings.BACKUPS_SCHEDULE = ""
    page = read(ann_here, "")
    text = text_of(page)
    assert "No backups are taken: no schedule is set" in text
    assert "Set BACKUPS_SCHEDULE" in text
    assert "Last verified never" in text
    assert '<svg class="plot"' not in page
    assert 'action="/backups/snapshots/store/"' in page


def test_what_a_user_may_not_is_not_offered(
    live: Site, ann_here: Client, settings: Settings, tmp_path: Path
) -> None:
    live.stage(snapshot_of(live, tmp_path / "other.db", "other"))
    assert services.get_restore_status().pending is not None
    text = text_of(read(ann_here, ""))
    assert "A restore waits for a restart Staged by" in text
    assert "Last restore" in text
    settings.BACKUPS_RESTORE_PERMISSION = NOBODY
    page = read(ann_here, "")
    assert "A restore waits" not in page
    assert "Last restore" not in page
    assert "/backups/restore/" not in page
    settings.BACKUPS_RESTORE_PERMISSION, settings.BACKUPS_BACKUP_PERMISSION = (
        "backups.api.permissions.MayRestore",
        NOBODY,
    )
    assert "Back up now" not in read(ann_here, "")
    settings.BACKUPS_RESTORE_PERMISSION = NOBODY
    assert ann_here.get("/backups/").status_code == 403


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BACKUPS_SCHEDULE", "every night", "No backup is taken: BACKUPS_SCHEDULE is not a"),
        ("BACKUPS_SCHEDULE_JITTER", "soon", "It is not known whether this site is backed up."),
        ("BACKUPS_MAX_AGE", "a while", "It is not known whether this site is backed up."),
        ("BACKUPS_RECIPIENTS", ["no key"], "Last backup 1 hour ago"),
    ],
)
def test_a_wrong_setting_breaks_no_page(
    live: Site, ann_here: Client, settings: Settings, name: str, value: object, words: str
) -> None:
    remember()
    setattr(settings, name, value)
    text = text_of(read(ann_here, ""))
    assert words in text
    assert re.search(rf"Warnings about the settings .*{name}", text)


def test_a_storage_that_can_not_be_made_breaks_no_page(
    live: Site, ann_here: Client, settings: Settings
) -> None:
    remember()
    settings.STORAGES = {**settings.STORAGES, "backups": {"BACKEND": "no.such.Storage"}}
    text = text_of(read(ann_here, ""))
    assert "Last verified backup 1 hour ago" in text
    assert "no.such.Storage" in text or "no.such" in text


def test_a_database_without_a_file_breaks_no_page(
    live: Site, ann_here: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that the session is in stays open; only the store has nothing to look at."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", ":memory:")
    text = text_of(read(ann_here, ""))
    assert "It is not known whether this site is backed up." in text
    assert "SQLite" in text
    assert "Back up now" not in text


def test_warnings_of_the_checks_are_shown_with_their_hints(
    live: Site, ann_here: Client, settings: Settings
) -> None:
    settings.ADMINS = []
    text = text_of(read(ann_here, ""))
    assert "nobody is told when a backup fails. backups.W080 Set ADMINS" in text
    settings.SILENCED_SYSTEM_CHECKS = ["backups.W080"]
    assert "W080" not in read(ann_here, "")
    settings.BACKUPS_COMPRESSION_LEVEL = 99
    text = text_of(read(ann_here, ""))
    assert "Error BACKUPS_COMPRESSION_LEVEL should be" in text


def test_a_check_that_fails_breaks_no_page(
    live: Site, ann_here: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_stars(**_: Any) -> list[CheckMessage]:
        raise RuntimeError("the sky is clouded")

    check_stars.__module__ = "backups.checks.stars"
    monkeypatch.setattr(registry, "registered_checks", [*registry.get_checks(True), check_stars])
    assert "check_stars has failed: the sky is clouded" in text_of(read(ann_here, ""))


def test_checks_of_other_apps_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_stars(**_: Any) -> list[CheckMessage]:
        raise AssertionError("not ours")

    check_stars.__module__ = "backups_of_others.checks"
    monkeypatch.setattr(registry, "registered_checks", [check_stars])
    monkeypatch.setattr(registry, "deployment_checks", [])
    assert own_checks.messages() == []


def test_thousands_of_receipts_are_drawn_and_the_table_has_the_newest(
    live: Site, ann_here: Client
) -> None:
    remember()
    write_receipts(live, [stored(number) for number in range(3000)])
    page = read(ann_here, "")
    assert "The newest 100 of 3000 backups" in text_of(page)
    assert len(page) < 120_000


def test_receipts_that_were_changed_by_hand_are_left_out(live: Site, ann_here: Client) -> None:
    remember()
    hostile: list[dict[str, Any]] = [
        {"at": "yesterday"},
        {"at": None},
        {"at": 3},
        {"size": "large"},
        {"size": -1},
        {"size": True},
        {"seconds": "long"},
        {"seconds": -4},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"size": 10**400},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
    ]
    write_receipts(live, [stored(number, **each) for number, each in enumerate(hostile)])
    page = read(ann_here, "")
    assert "nan" not in page
    assert page.count('<svg class="plot"') == 1
    write_receipts(live, [stored(1)])
    assert read(ann_here, "").count('<svg class="plot"') == 2
