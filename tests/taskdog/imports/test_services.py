"""What comes over, into a real store, from a real database of each revision."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from taskdog.audit.models import AuditLog
from taskdog.imports import rows
from taskdog.imports.exceptions import StoreNotReadyError, UnusableSourceError
from taskdog.imports.revisions import KNOWN
from taskdog.imports.services import MODELS, NEW_STORE, Imported, import_database
from taskdog.tasks import services
from taskdog.tasks.models import DailyAllocation, Note, Tag, Task, TaskDependency, TaskTag
from taskdog.transactions import is_postgres
from tests.taskdog.imports.builders import LATER, MOMENT, add_task, insert, make_database

pytestmark = pytest.mark.django_db

CREATED = datetime.fromisoformat(MOMENT)
UPDATED = datetime.fromisoformat(LATER)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """An empty database of their newest revision."""
    return make_database(tmp_path / "theirs.db")


def import_(path: Path, *, dry_run: bool = False) -> Imported:
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    imported = import_database(path, scratch=scratch, dry_run=dry_run)
    assert list(scratch.iterdir()) == [], "the private copy is gone"
    return imported


def rows_in_store() -> int:
    return sum(model._default_manager.count() for model in MODELS)


# Everything comes over


def test_a_task_comes_over_with_every_value(theirs: Path) -> None:
    times = {
        name: f"2026-03-0{number} 10:00:00.000000"
        for number, name in enumerate(
            ("planned_start", "planned_end", "deadline", "actual_start", "actual_end"), start=1
        )
    }
    add_task(
        theirs,
        41,
        "Größe “x” | y\nz",
        priority=7,
        status="COMPLETED",
        actual_duration=1.25,
        estimated_duration=0.1,
        is_fixed=1,
        is_archived=1,
        **times,
    )
    imported = import_(theirs)
    (task,) = Task.objects.all()
    assert (task.id, task.name) == (41, "Größe “x” | y\nz")
    assert (task.priority, task.status) == (7, "COMPLETED")
    assert (task.created_at, task.updated_at) == (CREATED, UPDATED)
    assert {name: getattr(task, name) for name in times} == {
        name: datetime.fromisoformat(given) for name, given in times.items()
    }
    assert (task.actual_duration, task.estimated_duration) == (1.25, 0.1)
    assert (task.is_fixed, task.is_archived) == (True, True)
    assert imported.changes == []
    assert imported.counts["tasks"] == 1


@pytest.mark.parametrize("revision", KNOWN)
def test_each_revision_comes_over(tmp_path: Path, revision: str) -> None:
    theirs = make_database(tmp_path / "tasks.db", revision)
    fill(theirs, KNOWN.index(revision) + 1)
    imported = import_(theirs)
    assert imported.revision == revision
    assert imported.changes == []
    check_filled()


def test_a_database_from_before_alembic_comes_over(tmp_path: Path) -> None:
    theirs = make_database(tmp_path / "tasks.db", KNOWN[0], is_stamped=False)
    fill(theirs, 1)
    assert import_(theirs).revision == KNOWN[0]
    check_filled()


def fill(path: Path, number: int) -> None:
    """A store of every kind of row, as the first ``number`` migrations keep it."""
    days = {"2026-03-02": 1.5, "2026-03-03": 2.0}
    in_json = {"daily_allocations": json.dumps(days)} if number <= 5 else {}
    add_task(path, 2, "first", **in_json)
    add_task(path, 5, "second", depends_on="[2]")
    insert(path, "tags", id=3, name="work", created_at=MOMENT)
    insert(path, "tags", id=4, name="unused", created_at=LATER)
    insert(path, "task_tags", task_id=5, tag_id=3)
    note = {"task_id": 2, "content": "line\r\nline", "created_at": MOMENT, "updated_at": LATER}
    if number >= 4:
        insert(path, "notes", **note)
    else:
        folder = path.parent / "notes"
        folder.mkdir()
        (folder / "2.md").write_bytes(b"line\r\nline")
    if number >= 5:
        for key, (day, hours) in enumerate(days.items(), start=8):
            insert(
                path,
                "daily_allocations",
                id=key,
                task_id=2,
                date=day,
                hours=hours,
                created_at=LATER,
            )
    insert(
        path,
        "audit_logs",
        id=77,
        timestamp=LATER,
        client_name="laptop",
        operation="start_task",
        resource_type="task",
        resource_id=2,
        resource_name="first",
        old_values='{"status": "PENDING"}',
        new_values='{"status": "IN_PROGRESS", "why": "\\u00e9"}',
        success=1,
    )


def check_filled() -> None:
    assert list(Task.objects.order_by("id").values_list("id", "name", "priority")) == [
        (2, "first", 5),
        (5, "second", 5),
    ]
    assert list(Tag.objects.order_by("id").values_list("id", "name", "created_at")) == [
        (3, "work", CREATED),
        (4, "unused", UPDATED),
    ]
    assert list(TaskTag.objects.values_list("task_id", "tag_id")) == [(5, 3)]
    assert list(TaskDependency.objects.values_list("task_id", "depends_on_id")) == [(5, 2)]
    assert Note.objects.get().content == "line\r\nline"
    assert list(DailyAllocation.objects.values_list("task_id", "date", "hours", "created_at")) == [
        (2, date(2026, 3, 2), 1.5, UPDATED),
        (2, date(2026, 3, 3), 2.0, UPDATED),
    ]
    (log,) = AuditLog.objects.all()
    assert (log.id, log.timestamp, log.client_name) == (77, UPDATED, "laptop")
    assert (log.operation, log.resource_type, log.resource_id) == ("start_task", "task", 2)
    assert (log.resource_name, log.success, log.error_message) == ("first", True, None)
    assert log.old_values == {"status": "PENDING"}
    assert log.new_values == {"status": "IN_PROGRESS", "why": "é"}


def test_rows_that_are_only_in_the_wal_come_over(theirs: Path) -> None:
    with closing(sqlite3.connect(theirs, isolation_level=None)) as server:
        server.execute("PRAGMA wal_autocheckpoint=0")
        server.execute(
            "INSERT INTO tasks (id, name, priority, status, created_at, updated_at)"
            " VALUES (1, 'in the WAL', 5, 'PENDING', ?, ?)",
            [MOMENT, LATER],
        )
        assert theirs.with_name("theirs.db-wal").stat().st_size > 0
        before = content(theirs.parent)
        import_(theirs)
        assert content(theirs.parent) == before, "nothing beside it was written"
    assert Task.objects.get().name == "in the WAL"


def test_a_transaction_that_was_cut_off_is_rolled_back(tmp_path: Path) -> None:
    theirs = make_database(tmp_path / "whole.db")
    add_task(theirs, 1, "committed")
    with closing(sqlite3.connect(theirs, isolation_level=None)) as server:
        server.execute(
            "WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers LIMIT 400)"
            " INSERT INTO tasks (id, name, priority, status, created_at, updated_at)"
            " SELECT n, name, priority, status, created_at, updated_at FROM tasks, numbers"
        )
        server.execute("PRAGMA journal_mode=DELETE")
        server.execute("PRAGMA cache_size=1")
        server.execute("BEGIN")
        server.execute("UPDATE tasks SET name = 'unfinished'")  # of as many letters
        for part in ("", "-journal"):
            killed = tmp_path / f"killed.db{part}"
            killed.write_bytes(theirs.with_name(f"whole.db{part}").read_bytes())
    before = content(tmp_path)
    import_(tmp_path / "killed.db")
    assert content(tmp_path) == before
    assert set(Task.objects.values_list("name", flat=True)) == {"committed"}


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and its time, but for SQLite's index, which its owner changes."""
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.is_file() and not path.name.endswith("-shm")
    }


# Ids


def test_ids_of_deleted_tasks_are_not_given_again(theirs: Path) -> None:
    add_task(theirs, 3)
    audit = {"timestamp": MOMENT, "operation": "delete_task", "success": 1}
    insert(theirs, "audit_logs", id=1, resource_type="task", resource_id=9, **audit)
    insert(theirs, "audit_logs", id=2, resource_type="other", resource_id=50, **audit)
    insert(theirs, "audit_logs", id=3, resource_type="task", resource_id=2**62, **audit)
    import_(theirs)
    assert services.create_task("next", client_name=None).pk == 10
    assert AuditLog.objects.latest("id").pk == 4


def test_ids_that_a_dependency_remembers_are_not_given_again(theirs: Path) -> None:
    add_task(theirs, 3, depends_on="[12]")
    import_(theirs)
    assert services.create_task("next", client_name=None).pk == 13


def test_ids_of_an_empty_store_are_remembered_too(theirs: Path) -> None:
    audit = {"timestamp": MOMENT, "operation": "delete_task", "success": 1}
    insert(theirs, "audit_logs", id=1, resource_type="task", resource_id=9, **audit)
    if not is_postgres():
        with connection.cursor() as cursor:  # as in a store that never had a task
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = 'tasks'")
    import_(theirs)
    assert services.create_task("next", client_name=None).pk == 10


# What can't stay as it was


@pytest.mark.parametrize(
    ("given", "stored", "said"),
    [
        ({"priority": 0}, {"priority": None}, "priority 0 is not a whole number above zero"),
        ({"priority": "high"}, {"priority": None}, "priority 'high' is not a whole number"),
        ({"status": "DONE"}, {"status": "PENDING"}, "its status is 'DONE', which does not exist"),
        ({"name": "  "}, {"name": "(no name)"}, "its name is blank"),
        ({"estimated_duration": 0}, {"estimated_duration": None}, "estimated_duration 0"),
        ({"actual_duration": -1.5}, {"actual_duration": None}, "actual_duration -1.5"),
        ({"actual_duration": 9e999}, {"actual_duration": None}, "actual_duration inf"),
        ({"deadline": "tomorrow"}, {"deadline": None}, "deadline 'tomorrow' is not a time"),
        ({"created_at": "then"}, {}, "it had no created_at"),
        ({"updated_at": "then"}, {"updated_at": CREATED}, "it had no updated_at"),
        (
            {"deadline": "2026-03-01 10:00:00+00:00"},
            {"deadline": datetime(2026, 3, 1, 10, tzinfo=UTC).astimezone().replace(tzinfo=None)},
            "has an offset",
        ),
    ],
)
def test_a_value_that_ours_cannot_be_is_changed_and_told(
    theirs: Path, given: dict[str, Any], stored: dict[str, object], said: str
) -> None:
    add_task(theirs, 7, **given)
    imported = import_(theirs)
    task = Task.objects.get()
    assert {name: getattr(task, name) for name in stored} == stored
    assert any(said in change and change.startswith("task 7: ") for change in imported.changes)


def test_dependencies_that_cannot_be_are_dropped_and_told(theirs: Path) -> None:
    add_task(theirs, 1, depends_on="[1, 9, 2, 2]")
    add_task(theirs, 2, depends_on='["x"]')
    add_task(theirs, 3, depends_on="not json")
    add_task(theirs, 4, depends_on='{"on": 1}')
    changes = import_(theirs).changes
    assert list(TaskDependency.objects.values_list("task_id", "depends_on_id")) == [(1, 2)]
    assert changes == [
        "task 1: its dependency on itself is dropped",
        "task 1: its dependency on task 9 is dropped: that task does not exist",
        "task 2: its dependency on task x is dropped: that task does not exist",
        "task 3: depends_on 'not json' is not JSON; it has none now",
        "task 4: its dependencies {'on': 1} are dropped: they are not a list",
    ]


def test_a_circle_is_opened_and_told(theirs: Path) -> None:
    for task_id, other in ((1, 2), (2, 3), (3, 1), (4, 1)):
        add_task(theirs, task_id, depends_on=f"[{other}]")
    (change,) = import_(theirs).changes
    assert "it closes a circle" in change
    left = list(TaskDependency.objects.values_list("task_id", "depends_on_id"))
    assert len(left) == 3
    assert (4, 1) in left


def test_order_of_dependencies_and_tags_is_kept(theirs: Path) -> None:
    for task_id in (1, 2, 3):
        add_task(theirs, task_id, depends_on="[2, 1]" if task_id == 3 else "[]")
    for tag_id, name in ((1, "z"), (2, "a")):
        insert(theirs, "tags", id=tag_id, name=name, created_at=MOMENT)
        insert(theirs, "task_tags", task_id=3, tag_id=tag_id)
    import_(theirs)
    task = Task.objects.get(pk=3)
    assert [link.depends_on_id for link in task.dependencies.all()] == [2, 1]
    assert [link.tag.name for link in task.tag_links.all()] == ["z", "a"]


def test_rows_of_tasks_that_are_gone_are_dropped_and_told(theirs: Path) -> None:
    times = {"created_at": MOMENT}
    insert(theirs, "tags", id=1, name="work", **times)
    insert(theirs, "task_tags", task_id=8, tag_id=1)
    insert(theirs, "notes", task_id=8, content="lost", updated_at=MOMENT, **times)
    insert(theirs, "daily_allocations", id=1, task_id=8, date="2026-03-02", hours=1, **times)
    assert import_(theirs).changes == [
        "tag 1 on task 8: dropped: one of the two does not exist",
        "note of task 8: dropped: the task does not exist",
        "allocation 1 of task 8: dropped: it lacks its task, its date or its hours",
    ]


def test_days_in_json_fill_what_the_table_lacks(tmp_path: Path) -> None:
    theirs = make_database(tmp_path / "tasks.db", KNOWN[4])
    days = {"2026-03-02": 9, "2026-03-03": 2, "someday": 1, "2026-03-04": 0}
    add_task(theirs, 1, daily_allocations=json.dumps(days))
    add_task(theirs, 2, daily_allocations="[1]")
    given = {"id": 5, "task_id": 1, "date": "2026-03-02", "hours": 1.5, "created_at": MOMENT}
    insert(theirs, "daily_allocations", **given)
    changes = import_(theirs).changes
    assert list(DailyAllocation.objects.values_list("id", "date", "hours")) == [
        (5, date(2026, 3, 2), 1.5),
        (6, date(2026, 3, 3), 2.0),
    ]
    assert changes == [
        "daily_allocations of task 1: 'someday': 1 dropped: it is not a date with hours above zero",
        "daily_allocations of task 1: '2026-03-04': 0 dropped: it is not a date with hours above"
        " zero",
        "daily_allocations of task 2: dropped: it is not a JSON object",
    ]


def test_what_there_is_no_place_for_is_told(tmp_path: Path) -> None:
    theirs = make_database(tmp_path / "tasks.db", KNOWN[0])
    add_task(theirs, 1, actual_daily_hours='{"2026-03-02": 1}')
    add_task(theirs, 2)
    with closing(sqlite3.connect(theirs, isolation_level=None)) as connection_:
        connection_.execute("CREATE TABLE extra AS SELECT 1 AS one")
    assert import_(theirs).changes == [
        "the table extra is not carried over, with its 1 rows",
        "the column tasks.actual_daily_hours is not carried over, 1 have it",
    ]


def test_audit_values_that_are_no_json_are_kept_as_text(theirs: Path) -> None:
    audit = {"timestamp": MOMENT, "operation": "x", "resource_type": "task", "success": 0}
    insert(theirs, "audit_logs", id=1, old_values="oops", error_message="why", **audit)
    changes = import_(theirs).changes
    (log,) = AuditLog.objects.all()
    assert (log.old_values, log.success, log.error_message) == ({"text": "oops"}, False, "why")
    assert changes == ["audit log 1: old_values 'oops' is not JSON; it is kept as {'text': …}"]


# All or nothing


def test_a_failure_at_the_end_leaves_the_store_empty(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_task(theirs, 1)

    def fail(*_: object, **__: object) -> None:
        assert Task.objects.count() == 1
        raise OSError("the disk is gone")

    monkeypatch.setattr(rows, "audit_logs", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        import_(theirs)
    assert rows_in_store() == 0


def test_an_id_that_none_can_have_stops_the_import(theirs: Path) -> None:
    add_task(theirs, 5)
    add_task(theirs, 0)
    with pytest.raises(UnusableSourceError, match="the id 0"):
        import_(theirs)
    assert rows_in_store() == 0


def test_a_dry_run_tells_the_same_and_changes_nothing(theirs: Path) -> None:
    add_task(theirs, 6, depends_on="[9]")
    before = last_id()
    tried = import_(theirs, dry_run=True)
    assert rows_in_store() == 0
    assert last_id() == before
    done = import_(theirs)
    assert done == tried
    assert done.counts["tasks"] == 1


def last_id() -> int:
    """The last that was given to a task."""
    asked = (
        "last_value FROM tasks_id_seq"
        if is_postgres()
        else "seq FROM sqlite_sequence WHERE name = 'tasks'"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}")
        row = cursor.fetchone()
        return row[0] if row else 0


@pytest.mark.parametrize("row", ["task", "tag", "audit"])
def test_a_store_that_is_not_empty_is_refused(theirs: Path, row: str) -> None:
    add_task(theirs, 1)
    if row == "task":
        Task.objects.create(name="ours")
    elif row == "tag":
        Tag.objects.create(name="ours")
    else:
        AuditLog.objects.create(operation="x", resource_type="task")
    with pytest.raises(StoreNotReadyError, match="is not empty") as refused:
        import_(theirs)
    assert NEW_STORE[connection.vendor] in str(refused.value)
    assert rows_in_store() == 1


def test_importing_twice_is_refused(theirs: Path) -> None:
    add_task(theirs, 1)
    import_(theirs)
    with pytest.raises(StoreNotReadyError):
        import_(theirs)
    assert Task.objects.count() == 1
