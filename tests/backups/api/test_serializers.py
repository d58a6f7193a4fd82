"""Each shape of an answer is on the wire as it always was, to the byte."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from backups.api.negotiation import JSONRenderer
from backups.api.parsers import FIELD
from backups.api.serializers import (
    AppliedRestoreSerializer,
    BackupErrorSerializer,
    DiscardedRestoreSerializer,
    DownloadSerializer,
    KeptCopySerializer,
    PendingRestoreSerializer,
    RestoresSerializer,
    RestoreStatusSerializer,
    RestoreUploadSerializer,
)
from backups.exceptions import BackupError, NotEnoughSpaceError, WrongLengthError
from backups.store import Download, KeptCopy, PendingRestore, Receipt, RestoreStatus

AT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)
LATER = AT.replace(microsecond=123456)
PENDING = PendingRestore(
    size=249856, sha256="ab" * 32, staged_at=AT, staged_by="laptop", migrations=("a.1", "a.2")
)
UNDO = replace(
    PENDING,
    staged_at=LATER,
    migrations=(),
    warnings=("Beware.", "café \udcff"),
    undoes="tasks.db.pre-restore-20261123-024538",
)
RECEIPT = Receipt(
    id="7",
    at=AT,
    outcome="applied",
    reason="",
    size=249856,
    sha256="ab" * 32,
    staged_at=AT,
    staged_by="laptop",
    migrations=(),
    kept="tasks.db.pre-restore-20261123-024538",
    seconds=0.5,
)
UNKNOWN = Receipt(
    id="8",
    at=LATER,
    outcome="discarded",
    reason="It is lost.",
    size=None,
    sha256=None,
    staged_at=None,
    staged_by=None,
    migrations=("a.1",),
    kept=None,
    seconds=0.0,
    by="root",
    undoes="x",
    removed=("y", "z"),
)
KEPT = [
    KeptCopy("tasks.db.pre-restore-20261123-024538", 7, AT, is_database=True, stays_until=LATER),
    KeptCopy("tasks.db.pre-restore-20261123-024539", 0, LATER, is_database=False),
]
DOWNLOADS = [
    Download("1", LATER, "begun", by=None, address=None, method="pages", size=9),
    Download(
        "2",
        AT,
        "whole",
        by="laptop",
        address="192.0.2.1 (X-Forwarded-For: 198.51.100.7)",
        method="compact",
        size=9,
        first=4,
        sent=5,
        sha256="cd" * 32,
        seconds=1.25,
    ),
]
PRESENT = ("pid 12 (gunicorn)", "pid 13 (manage.py shell)")
FULL = NotEnoughSpaceError("The disk is full.", needed_bytes=20, free_bytes=10)

Json = dict[str, Any]


def pending(found: PendingRestore) -> Json:
    return PendingRestoreSerializer(found).data


def status(of: PendingRestore | None, last: Receipt | None, *present: str) -> Json:
    return RestoreStatusSerializer(RestoreStatus(of, last, present)).data


def discarded(found: PendingRestore | None) -> Json:
    return DiscardedRestoreSerializer(found).data


def refused(error: BackupError) -> Json:
    return BackupErrorSerializer(error).data


def answers() -> dict[str, Json]:
    """An answer of each kind, under the name by which it is recorded."""
    warned = {"warnings": ("Beware.",)}
    found = {"restores": [RECEIPT, UNKNOWN], "kept": KEPT, "downloads": DOWNLOADS}
    return {
        "pending": pending(PENDING),
        "undo": pending(UNDO),
        "nothing": status(None, None, "pid 1"),
        "refused": status(None, replace(UNKNOWN, outcome="refused")),
        "waiting": status(PENDING, RECEIPT, *PRESENT),
        "free": status(UNDO, None),
        "applied": AppliedRestoreSerializer(RECEIPT).data,
        "applied with warnings": AppliedRestoreSerializer(UNKNOWN, context=warned).data,
        "restores": RestoresSerializer(found).data,
        "no restores": RestoresSerializer({"restores": [], "kept": [], "downloads": []}).data,
        "discarded": discarded(UNDO),
        "lost": discarded(None),
        "error": refused(WrongLengthError("/srv/caf\udce9.db is cut off.")),
        "full": refused(FULL),
        "full while pending": status(PENDING, None, *PRESENT) | refused(FULL),
    }


@pytest.fixture(autouse=True)
def database_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """A restore is pending only where the database is a file; another test may have none."""
    database = tmp_path / "tasks.db"
    database.write_bytes(b"rows")
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", database)
    settings.BACKUPS_MAX_UPLOAD_BYTES = 1024


@pytest.mark.parametrize("site", ["as it is", "with times and formats of its own"])
def test_answers_are_on_the_wire_as_they_were_recorded(site: str, settings: Settings) -> None:
    if site != "as it is":
        settings.USE_TZ = False
        settings.TIME_ZONE = "Asia/Tokyo"
        settings.REST_FRAMEWORK = {
            **settings.REST_FRAMEWORK,
            "DATETIME_FORMAT": "%d.%m.%Y",
            "COERCE_DECIMAL_TO_STRING": True,
        }
    recorded = json.loads((Path(__file__).parent / "recorded_answers.json").read_text())
    wire = {name: JSONRenderer().render(answer).decode() for name, answer in answers().items()}
    assert wire == recorded


def test_answers_are_plain_json_already() -> None:
    """With DRF's own dict, a page would show the shape of the answer in place of the form."""
    for name, answer in answers().items():
        assert json.loads(json.dumps(answer)) == answer, name
        assert type(answer) is dict, name


def test_pending_restore_has_one_shape_wherever_it_shows() -> None:
    nobody: Json = {"in_use_by": [], "waiting_for": [], "last": None, "max_upload_bytes": 1024}
    assert status(PENDING, None) == pending(PENDING) | nobody


def test_record_has_all_that_is_known() -> None:
    assert status(None, RECEIPT)["last"].keys() == vars(RECEIPT).keys()
    assert KeptCopySerializer(KEPT[0]).data.keys() == vars(KEPT[0]).keys()
    assert DownloadSerializer(DOWNLOADS[0]).data.keys() == vars(DOWNLOADS[0]).keys()


def test_discarded_restore_without_a_description_has_the_same_keys() -> None:
    assert discarded(PENDING).keys() == discarded(None).keys()


def test_form_asks_for_the_field_that_the_parser_reads() -> None:
    assert list(RestoreUploadSerializer().get_fields()) == [FIELD]
