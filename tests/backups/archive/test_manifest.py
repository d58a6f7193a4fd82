import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from backups.archive.manifest import Hold, Manifest, Media, Verification

AT = datetime(2026, 11, 26, 3, 0, 1, tzinfo=UTC)
MANIFEST = Manifest(
    name="taskdog-backup-20261126-030001.db.zst.age",
    size=1234,
    sha256="ab" * 32,
    database_size=98765,
    database_sha256="cd" * 32,
    taken_at=AT,
    seconds=0.25,
    method="pages",
    by="schedule",
    schedule="0 3 * * *",
    label=None,
    site="taskdog",
    release="1.2 ü",
    software={"sqlite": "3.53.4"},
    migrations=("tasks.0001_initial",),
    rows={"tasks": 3, 'odd "name"': 0},
    recipients=("age1abc",),
)
TRIED = replace(
    MANIFEST,
    verification=Verification(AT, "restorable", "", 1.5, tables=2, rows=3, warnings=("an index",)),
    hold=Hold(AT, "ops", "an audit"),
    media=Media("media/list", files=3, size=99, new=1, new_size=5),
)


@pytest.mark.parametrize("manifest", [MANIFEST, TRIED])
def test_a_manifest_comes_back_as_it_was_written(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_it_is_json_that_a_person_can_read() -> None:
    text = TRIED.to_json().decode()
    words = json.loads(text)
    assert words["taken_at"] == "2026-11-26T03:00:01Z"
    assert words["format"] == 1
    assert "1.2 ü" in text
    assert len(text.splitlines()) > 20


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(TRIED.to_json()), **changes}).encode()


def test_what_a_later_release_has_added_is_left_out() -> None:
    words = json.loads(TRIED.to_json())
    words["colour"] = "blue"
    words["verification"]["mood"] = {"is": "good"}
    words["hold"]["until"] = "2027-01-01T00:00:00Z"
    assert Manifest.from_json(json.dumps(words).encode()) == TRIED


def test_what_an_earlier_release_did_not_have_has_its_default() -> None:
    words = json.loads(MANIFEST.to_json())
    for name in ("verification", "hold", "media", "recipients"):
        del words[name]
    assert Manifest.from_json(json.dumps(words).encode()) == replace(MANIFEST, recipients=())


def test_a_time_of_another_zone_is_the_same_time() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    found = Manifest.from_json(changed(taken_at=there))
    assert found is not None
    assert (found.taken_at, found.taken_at.tzinfo) == (AT, UTC)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"3",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        MANIFEST.to_json()[:-3],
        changed(taken_at=None),
        changed(taken_at="yesterday"),
        changed(taken_at="2026-11-26T03:00:01"),
        changed(taken_at="0001-01-01T00:00:00+14:00"),
        changed(migrations=None),
        changed(migrations="tasks.0001_initial"),
        changed(verification="good"),
        changed(hold=["ops"]),
        changed(rows=[1, 2]),
        changed(rows={"tasks": "many"}),
        changed(size="1234"),
        changed(size=True),
        changed(sha256=7),
        changed(seconds=float("nan")),  # which no answer of the HTTP API could hold
        changed(seconds=float("inf")),
        changed(verification={**json.loads(TRIED.to_json())["verification"], "seconds": -1e999}),
        changed(verification={**json.loads(TRIED.to_json())["verification"], "warnings": [5]}),
        changed(recipients=["age1abc", {"a": 1}]),
        changed(migrations=[["tasks"]]),
        changed(software={"sqlite": {"a": 1}}),
    ],
)
def test_what_is_no_manifest_is_none(content: bytes) -> None:
    assert Manifest.from_json(content) is None
