from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from taskdog.audit.models import AuditLog
from taskdog.tasks.exceptions import InvalidStatusError, InvalidTagsError, InvalidTaskError
from taskdog.tasks.models import Task
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services import Update, archive_task, create_task, restore_task, update_task

pytestmark = pytest.mark.django_db

PAST = datetime.fromisoformat("2020-01-06T09:00:00")
MONDAY = datetime.fromisoformat("2030-01-14T09:00:00")
TUESDAY = MONDAY + timedelta(days=1)


def update(task: Task, **changes: Any) -> Update:
    return update_task(task.pk, changes=changes, client_name="ann")


def last_values() -> tuple[Any, Any]:
    row = AuditLog.objects.latest("id")
    assert (row.operation, row.client_name) == ("update_task", "ann")
    return (row.old_values, row.new_values)


def test_what_is_given_is_changed_and_the_rest_stays() -> None:
    task = create_task("Write", priority=1, tags=["a"], client_name=None)
    changed = update(task, name="Rewrite", priority=5)
    assert changed.updated_fields == ["name", "priority"]
    assert (changed.task.name, changed.task.priority, changed.task.tag_names) == (
        "Rewrite",
        5,
        ["a"],
    )
    assert changed.task.updated_at > task.updated_at
    assert last_values() == ({"name": "Write", "priority": 1}, {"name": "Rewrite", "priority": 5})


def test_nothing_given_changes_nothing_and_is_recorded() -> None:
    task = create_task("Write", client_name=None)
    changed = update(task)
    assert (changed.updated_fields, changed.task.updated_at) == ([], task.updated_at)
    assert last_values() == (None, None)


def test_tags_are_replaced_and_cleared() -> None:
    task = create_task("Write", tags=["a", "b"], client_name=None)
    assert update(task, tags=["c", "a"]).task.tag_names == ["c", "a"]
    assert last_values() == ({"tags": ["a", "b"]}, {"tags": ["c", "a"]})
    assert update(task, tags=[]).task.tag_names == []
    assert get_task(task.pk).tag_names == []


def test_dates_are_recorded_as_text() -> None:
    task = create_task("Write", client_name=None)
    update(task, deadline=MONDAY)
    assert last_values() == ({"deadline": None}, {"deadline": "2030-01-14T09:00:00"})


@pytest.mark.parametrize("field", ["deadline", "planned_start", "planned_end"])
def test_only_a_task_that_has_started_can_lie_in_the_past(field: str) -> None:
    task = create_task("Write", client_name=None)
    with pytest.raises(InvalidTaskError) as refused:
        update(task, **{field: PAST})
    assert str(refused.value) == (
        f"Cannot set {field} to past date: 2020-01-06T09:00:00. "
        f"Tasks that haven't started must have future dates."
    )
    assert getattr(get_task(task.pk), field) is None
    Task.objects.update(actual_start=timezone.now())
    assert getattr(update(task, **{field: PAST}).task, field) == PAST


def test_the_status_comes_first_so_that_a_start_opens_the_past_and_a_pause_closes_it() -> None:
    task = create_task("Write", client_name=None)
    changed = update(task, deadline=PAST, status="IN_PROGRESS")
    assert (changed.task.status, changed.task.deadline) == ("IN_PROGRESS", PAST)
    with pytest.raises(InvalidTaskError, match="past date"):
        update(task, deadline=PAST, status="PENDING")
    assert get_task(task.pk).status == "IN_PROGRESS"


def test_a_past_date_that_is_there_already_does_not_stand_in_the_way() -> None:
    task = Task.objects.create(name="Write", deadline=PAST)
    assert update(task, name="Rewrite").task.deadline == PAST


def test_the_hours_follow_the_plan() -> None:
    task = create_task("Write", planned_start=MONDAY, planned_end=TUESDAY, client_name=None)
    changed = update(task, estimated_duration=6.0)
    assert changed.updated_fields == ["estimated_duration", "daily_allocations"]
    assert changed.task.allocated_hours == {"2030-01-14": 3, "2030-01-15": 3}
    assert last_values() == (
        {"estimated_duration": None, "daily_allocations": {}},
        {"estimated_duration": 6.0, "daily_allocations": {"2030-01-14": 3, "2030-01-15": 3}},
    )
    assert update(task, estimated_duration=6.0).updated_fields == ["estimated_duration"]
    assert update(task, name="Rewrite").task.allocated_hours == {"2030-01-14": 3, "2030-01-15": 3}
    turned = update(task, planned_end=MONDAY - timedelta(days=7))
    assert turned.task.allocated_hours == {}


def test_a_restored_task_gets_its_hours_back_with_its_next_plan() -> None:
    task = create_task(
        "Write",
        planned_start=MONDAY,
        planned_end=MONDAY,
        estimated_duration=2,
        client_name=None,
    )
    archive_task(task.pk, client_name=None)
    restore_task(task.pk, client_name=None)
    assert update(task, estimated_duration=4.0).task.allocated_hours == {"2030-01-14": 4}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": " "}, InvalidTaskError),
        ({"priority": 0}, InvalidTaskError),
        ({"estimated_duration": -1.0}, InvalidTaskError),
        ({"tags": ["a", "a"]}, InvalidTagsError),
        ({"status": "COMPLETED"}, InvalidStatusError),
        ({"planned_end": MONDAY + timedelta(days=5000)}, InvalidTaskError),
    ],
)
def test_one_wrong_change_keeps_all_of_them_out(
    changes: dict[str, Any], error: type[Exception]
) -> None:
    task = create_task("Write", planned_start=MONDAY, estimated_duration=1, client_name=None)
    before = Task.objects.values().get()
    with pytest.raises(error):
        update(task, is_fixed=True, **{"tags": ["new"], **changes})
    assert Task.objects.values().get() == before
    assert get_task(task.pk).tag_names == []
    assert not AuditLog.objects.filter(operation="update_task", success=True).exists()
