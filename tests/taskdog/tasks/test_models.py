from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from taskdog.tasks.models import DailyAllocation, Note, Tag, Task, TaskDependency, TaskTag

pytestmark = pytest.mark.django_db

NINE = datetime.fromisoformat("2030-01-01T09:00:00")
TEN = datetime.fromisoformat("2030-01-01T10:00:00")


def count_rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "a", "priority": 0},
        {"name": "a", "priority": -1},
        {"name": "a", "status": "LOST"},
        {"name": "a", "status": "pending"},
        {"name": "a", "estimated_duration": 0},
        {"name": "a", "actual_duration": -0.5},
    ],
)
def test_the_database_itself_refuses_a_wrong_task(wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Task.objects.create(**wrong)
    assert count_rows("tasks") == 0


def test_the_database_itself_refuses_a_dependency_on_itself_or_twice() -> None:
    a, b = (Task.objects.create(name=name) for name in "ab")
    with pytest.raises(IntegrityError), transaction.atomic():
        TaskDependency.objects.create(task=a, depends_on=a)
    TaskDependency.objects.create(task=a, depends_on=b)
    with pytest.raises(IntegrityError), transaction.atomic():
        TaskDependency.objects.create(task=a, depends_on=b)
    assert count_rows("task_dependencies") == 1


def test_the_database_itself_refuses_a_tag_twice() -> None:
    task, tag = Task.objects.create(name="a"), Tag.objects.create(name="t")
    TaskTag.objects.create(task=task, tag=tag)
    with pytest.raises(IntegrityError), transaction.atomic():
        TaskTag.objects.create(task=task, tag=tag)
    with pytest.raises(IntegrityError), transaction.atomic():
        Tag.objects.create(name="t")
    assert (count_rows("tags"), count_rows("task_tags")) == (1, 1)


def test_the_database_itself_refuses_a_wrong_allocation() -> None:
    task, day = Task.objects.create(name="a"), date(2030, 1, 1)
    with pytest.raises(IntegrityError), transaction.atomic():
        DailyAllocation.objects.create(task=task, date=day, hours=0)
    DailyAllocation.objects.create(task=task, date=day, hours=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        DailyAllocation.objects.create(task=task, date=day, hours=2)
    assert count_rows("daily_allocations") == 1


def test_the_database_itself_refuses_a_note_without_its_task() -> None:
    Note.objects.create(task_id=99, content="lost")
    # Foreign keys are looked at when a transaction ends, and the test's own never does.
    with pytest.raises(IntegrityError, match="notes"):
        connection.check_constraints()
    transaction.set_rollback(True)  # or it would be looked at once more


def test_an_id_is_not_given_again() -> None:
    first = Task.objects.create(name="a").pk
    Task.objects.filter(pk=first).delete()
    assert Task.objects.create(name="b").pk > first


@pytest.mark.parametrize(
    ("fields", "hours"),
    [
        ({}, None),
        ({"actual_start": NINE}, None),
        (
            {
                "actual_start": NINE,
                "actual_end": TEN + timedelta(minutes=20),
            },
            1.3,
        ),
        (
            {
                "actual_start": NINE,
                "actual_end": TEN,
                "actual_duration": 7.25,
            },
            7.25,
        ),
    ],
)
def test_hours_worked_are_as_entered_or_from_start_to_end(
    fields: dict[str, Any], hours: float | None
) -> None:
    assert Task(name="a", **fields).actual_duration_hours == hours


@pytest.mark.parametrize(
    ("status", "is_finished"),
    [("PENDING", False), ("IN_PROGRESS", False), ("COMPLETED", True), ("CANCELED", True)],
)
def test_a_task_is_finished_one_way_or_the_other(status: str, is_finished: bool) -> None:
    task = Task(name="a", status=status)
    assert (task.is_finished, task.is_active) == (is_finished, not is_finished)


@pytest.mark.parametrize(
    ("changes", "is_schedulable"),
    [
        ({}, True),
        ({"is_archived": True}, False),
        ({"status": "IN_PROGRESS"}, False),
        ({"estimated_duration": None}, False),
        ({"is_fixed": True}, False),
        ({"planned_start": NINE}, False),
    ],
)
def test_a_task_is_schedulable_while_its_time_is_open(
    changes: dict[str, Any], is_schedulable: bool
) -> None:
    fields: dict[str, Any] = {"name": "a", "estimated_duration": 2.0} | changes
    assert Task(**fields).is_schedulable is is_schedulable
