"""What is remembered beside the database, and manifests, as somebody has changed them by hand."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection

from backups.archive import jobs, services, storing
from backups.archive.folder_storage import FolderStorage
from backups.archive.manifest import Manifest
from backups.archive.state import State, read_state
from backups.schedule import attempts
from backups.services import get_store
from tests.backups.uploads import add_tasks
from tests.site import Site

HOSTILE: list[Any] = [
    *(5, [], "text", None, {"last_run": "never"}, {"failures": "many"}, {"problems": 5}),
    *({"last_size": 10**400}, {"attempt": {"x": 1}}, {"attempt": 5, "tried_at": 7}, [5, {"id": 1}]),
]
LONG = "9" * 400


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: str(value)[:30])
def test_a_state_of_other_types_counts_as_none(live: Site, value: Any) -> None:
    path = live.data / "tasks.db.backups-state.json"
    names = ("backups", "schedule", "jobs", "deleting", "settled")
    path.write_text(json.dumps(dict.fromkeys(names, value)))
    assert isinstance(read_state(), State)
    assert attempts.last_attempt() is None
    assert attempts.last_tried() is None
    assert jobs.list_jobs() == []
    assert services.list_snapshots() == []
    with services.settling():
        assert services.store(by="tester").is_new
    assert read_state().last_id


def test_what_is_settled_and_what_was_begun_may_have_been_changed_too(live: Site) -> None:
    stored = services.store(by="tester").snapshot
    path = live.data / "tasks.db.backups-state.json"
    job = {"id": "x", "work": "store", "by": "tester", "began_at": "2026-11-26T03:00:00"}
    settled = {"id": stored.id, "size": [], "sha256": {}}
    path.write_text(json.dumps({"settled": settled, "jobs": [job]}))
    services.store(by="tester")
    assert [each.outcome for each in jobs.list_jobs()] == ["stopped"]


def test_a_state_that_is_nested_too_deeply_counts_as_none(live: Site) -> None:
    (live.data / "tasks.db.backups-state.json").write_text("[" * 100_000)
    assert read_state() == State()


@pytest.mark.parametrize("name", ["seconds", "size"])
def test_a_number_that_no_machine_can_hold_is_no_manifest(live: Site, name: str) -> None:
    stored = services.store(by="tester").snapshot
    assert stored.manifest is not None
    words = json.loads(stored.manifest.to_json())
    content = json.dumps(words | {name: "LONG"}).replace('"LONG"', LONG)
    assert Manifest.from_json(content.encode()) is None


def test_what_a_manifest_says_of_a_table_can_not_command_a_terminal(live: Site) -> None:
    stored = services.store(by="tester").snapshot
    path = get_store().archive_folder() / f"{stored.name}.json"
    words = json.loads(path.read_bytes())
    path.write_text(json.dumps(words | {"rows": {"x\x1b[2J": 1}}))
    found = services.verify(stored.id, by="tester")
    assert found.outcome == "damaged"
    assert found.reason.isprintable()


def test_a_snapshot_with_a_time_ahead_is_not_what_nothing_has_changed_since(live: Site) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(days=400), tick=True):
        storing.store_snapshot(by="tester")
    add_tasks(live.database, "new")
    with services.settling():
        assert storing.store_snapshot(by="tester").is_new
    assert not storing.store_snapshot(by="tester").is_new, "what is ahead hides no other"


def test_a_connection_that_was_opened_anew_counts_as_a_change(live: Site) -> None:
    with services.settling():
        storing.store_snapshot(by="tester")
        add_tasks(live.database, "of another process")
        connection.close()
    assert storing.store_snapshot(by="tester").is_new


def test_a_file_that_is_just_deleted_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_bytes(b"content")
    listed = os.scandir

    class Late:
        """What has been listed, of which one is deleted before anybody looks at it."""

        def __init__(self, folder: Path) -> None:
            self._entries = list(listed(folder))
            (tmp_path / "two").unlink()

        def __enter__(self) -> None: ...

        def __iter__(self) -> Any:
            return iter(self._entries)

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("backups.archive.folder_storage.os.scandir", Late)
    assert FolderStorage(tmp_path).sizes() == {"one": 7, "three": 7}
