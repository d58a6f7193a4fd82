import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connections
from rest_framework.renderers import JSONRenderer

from backups import exceptions
from backups.api.parsers import FIELD
from backups.api.serializers import (
    RestoreUploadSerializer,
    describe_discarded,
    describe_error,
    describe_pending,
    describe_status,
)
from backups.store import PendingRestore, Receipt, RestoreStatus

AT = datetime(2026, 11, 23, 2, 45, 38, tzinfo=UTC)
PENDING = PendingRestore(
    size=249856, sha256="ab" * 32, staged_at=AT, staged_by="laptop", migrations=("a.1", "a.2")
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


@pytest.fixture(autouse=True)
def database_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore is pending only where the database is a file; another test may have none."""
    database = tmp_path / "tasks.db"
    database.write_bytes(b"rows")
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", database)


def test_pending_restore_has_one_shape_wherever_it_shows() -> None:
    alone = describe_pending(PENDING)
    status = describe_status(RestoreStatus(PENDING, None, ()), max_upload_bytes=10)
    nobody: dict[str, tuple[()]] = {"in_use_by": (), "waiting_for": ()}
    assert status == alone | nobody | {"last": None, "max_upload_bytes": 10}


def test_status_of_a_pending_restore_says_who_it_waits_for() -> None:
    present = ("pid 12 (gunicorn)", "pid 13 (manage.py shell)")
    status = describe_status(RestoreStatus(PENDING, None, present), max_upload_bytes=10)
    assert status["message"] == (
        "restart required; waiting for pid 12 (gunicorn), pid 13 (manage.py shell)"
    )
    assert status["waiting_for"] == status["in_use_by"] == present


def test_pending_restore_says_what_to_do_and_what_will_happen() -> None:
    body = describe_pending(PENDING)
    assert (body["status"], body["message"]) == ("pending", "restart required")
    assert "runs 2 migrations on the snapshot" in body["next_start"]


def test_warnings_are_a_list_wherever_a_pending_restore_shows() -> None:
    assert describe_pending(PENDING)["warnings"] == ()
    warned = replace(PENDING, warnings=("Beware.",))
    body = describe_status(RestoreStatus(warned, None, ()), max_upload_bytes=10)
    assert json.loads(JSONRenderer().render(body))["warnings"] == ["Beware."]


def test_status_without_anything_is_nothing() -> None:
    body = describe_status(RestoreStatus(None, None, ("pid 1",)), max_upload_bytes=10)
    assert (body["status"], body["last"], body["in_use_by"]) == ("nothing", None, ("pid 1",))
    assert "waiting_for" not in body


def test_receipt_tells_all_that_is_known() -> None:
    last = describe_status(RestoreStatus(None, RECEIPT, ()), max_upload_bytes=10)["last"]
    assert last == {name: getattr(RECEIPT, name) for name in Receipt.__dataclass_fields__}


def test_times_are_utc_on_the_wire() -> None:
    body = json.loads(JSONRenderer().render(describe_pending(PENDING)))
    assert body["staged_at"] == "2026-11-23T02:45:38Z"


def test_discarded_restore_without_a_description_has_the_same_keys() -> None:
    known, unknown = describe_discarded(PENDING), describe_discarded(None)
    assert known.keys() == unknown.keys()
    assert known["sha256"] == PENDING.sha256
    assert (unknown["status"], unknown["sha256"]) == ("discarded", None)


def test_error_body_has_detail_code_and_hint() -> None:
    error = exceptions.WrongLengthError("The file is cut off.")
    assert describe_error(error) == {
        "detail": "The file is cut off.",
        "code": "wrong_length",
        "hint": exceptions.WrongLengthError.hint,
    }


def test_error_body_of_a_full_disk_has_the_numbers() -> None:
    error = exceptions.NotEnoughSpaceError("The disk is full.", needed_bytes=20, free_bytes=10)
    body = describe_error(error)
    assert (body["needed_bytes"], body["free_bytes"]) == (20, 10)


def test_form_asks_for_the_field_that_the_parser_reads() -> None:
    assert list(RestoreUploadSerializer().get_fields()) == [FIELD]
