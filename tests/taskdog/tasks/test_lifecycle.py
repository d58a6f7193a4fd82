from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from taskdog.audit.models import AuditLog
from taskdog.tasks.exceptions import InvalidStatusError, InvalidTaskError
from taskdog.tasks.models import DailyAllocation, Task
from taskdog.tasks.services import (
    archive_task,
    change_each,
    create_task,
    fix_actual_times,
    pause_task,
    restore_task,
    start_task,
)

pytestmark = pytest.mark.django_db

START = datetime.fromisoformat("2026-01-05T09:00:00")
END = datetime.fromisoformat("2026-01-05T17:30:00")


def last_record() -> tuple[Any, ...]:
    row = AuditLog.objects.latest("id")
    return (row.operation, row.resource_id, row.client_name, row.old_values, row.new_values)


def planned() -> Task:
    start = timezone.now() + timedelta(days=1)
    return create_task(
        "Write", planned_start=start, planned_end=start, estimated_duration=3, client_name=None
    )


def test_a_change_of_status_is_recorded_with_both() -> None:
    task = planned()
    start_task(task.pk, client_name="ann")
    values = ({"status": "PENDING"}, {"status": "IN_PROGRESS"})
    assert last_record() == ("start_task", task.pk, "ann", *values)
    pause_task(task.pk, client_name=None)
    assert last_record()[:3] == ("pause_task", task.pk, None)


def test_an_archived_task_gives_its_days_back_and_keeps_its_status() -> None:
    task = planned()
    start_task(task.pk, client_name=None)
    archived = archive_task(task.pk, client_name="ann")
    assert (archived.is_archived, archived.status) == (True, "IN_PROGRESS")
    assert archived.allocated_hours == {}
    assert not DailyAllocation.objects.exists()
    values = ({"is_archived": False}, {"is_archived": True})
    assert last_record() == ("archive_task", task.pk, "ann", *values)


def test_archived_once_more_it_stays_as_it_is_and_the_log_says_so() -> None:
    task = planned()
    before = archive_task(task.pk, client_name=None)
    assert archive_task(task.pk, client_name="ann").updated_at == before.updated_at
    values = ({"is_archived": True}, {"is_archived": True})
    assert last_record() == ("archive_task", task.pk, "ann", *values)


def test_a_restored_task_comes_back_with_its_status_and_without_its_days() -> None:
    task = planned()
    start_task(task.pk, client_name=None)
    archive_task(task.pk, client_name=None)
    restored = restore_task(task.pk, client_name="ann")
    assert (restored.is_archived, restored.status) == (False, "IN_PROGRESS")
    assert restored.allocated_hours == {}
    values = ({"is_archived": True}, {"is_archived": False})
    assert last_record() == ("restore_task", task.pk, "ann", *values)


def test_what_is_not_archived_cannot_be_restored() -> None:
    task = planned()
    with pytest.raises(InvalidStatusError) as refused:
        restore_task(task.pk, client_name=None)
    assert str(refused.value) == (
        f"Cannot restore task with ID {task.pk}. Only archived tasks can be restored."
    )


def test_actual_times_are_set_kept_and_cleared() -> None:
    task = planned()
    fix_actual_times(task.pk, changes={"actual_start": START, "actual_end": END}, client_name="ann")
    stored = Task.objects.get()
    assert (stored.actual_start, stored.actual_end) == (START, END)
    assert stored.actual_duration_hours == 8.5
    assert last_record() == (
        "fix_actual_times",
        task.pk,
        "ann",
        {"actual_start": None, "actual_end": None, "actual_duration": None},
        {
            "actual_start": "2026-01-05T09:00:00",
            "actual_end": "2026-01-05T17:30:00",
            "actual_duration": None,
        },
    )
    changes = {"actual_duration": 3.5, "actual_end": None}
    fixed = fix_actual_times(task.pk, changes=changes, client_name=None)
    assert (fixed.actual_start, fixed.actual_end, fixed.actual_duration) == (START, None, 3.5)
    assert last_record()[-1] == {
        "actual_start": "2026-01-05T09:00:00",
        "actual_end": None,
        "actual_duration": "3.5",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actual_end": START - timedelta(days=1)}, "must be >= actual_start"),
        ({"actual_start": END, "actual_end": START}, "must be >= actual_start"),
        ({"actual_duration": 0.0}, "actual_duration must be greater than 0"),
    ],
)
def test_actual_times_that_cannot_be_change_nothing(changes: dict[str, Any], message: str) -> None:
    task = planned()
    fix_actual_times(task.pk, changes={"actual_start": START}, client_name=None)
    before = Task.objects.values().get()
    with pytest.raises(InvalidTaskError, match=message):
        fix_actual_times(task.pk, changes=changes, client_name=None)
    assert Task.objects.values().get() == before


def test_in_bulk_one_refusal_does_not_stop_the_rest() -> None:
    first, second = planned(), planned()
    outcomes = change_each(start_task, [second.pk, 99, first.pk, second.pk], client_name="ann")
    assert [(each.task_id, each.success, each.error) for each in outcomes] == [
        (second.pk, True, None),
        (99, False, "Task with ID 99 not found"),
        (first.pk, True, None),
        (second.pk, False, f"Cannot start task {second.pk}: task is already IN_PROGRESS"),
    ]
    assert [each.task is not None for each in outcomes] == [True, False, True, False]
    assert set(Task.objects.values_list("status", flat=True)) == {"IN_PROGRESS"}
    rows = AuditLog.objects.filter(operation="start_task").order_by("id")
    assert list(rows.values_list("resource_id", "success")) == [
        (second.pk, True),
        (99, False),
        (first.pk, True),
        (second.pk, False),
    ]
