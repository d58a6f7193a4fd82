from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from taskdog.audit import services as audit
from taskdog.audit.models import AuditLog
from taskdog.tasks.exceptions import (
    InvalidDependencyError,
    InvalidTagsError,
    InvalidTaskError,
    TaskNotFoundError,
)
from taskdog.tasks.models import DailyAllocation, Note, Tag, Task, TaskDependency
from taskdog.tasks.selectors import get_task
from taskdog.tasks.services import (
    add_dependency,
    create_task,
    delete_task,
    read_notes,
    remove_dependency,
    set_tags,
    write_notes,
)

pytestmark = pytest.mark.django_db


def make(name: Any = "Write", **options: Any) -> Task:
    return create_task(name, client_name="ann", **options)


def depend(task: Task, *others: Task) -> None:
    for other in others:
        add_dependency(task.pk, depends_on_id=other.pk, client_name="ann")


def depends_on(task: Task) -> list[int]:
    return [link.depends_on_id for link in get_task(task.pk).dependencies.all()]


def tags_of(task: Task) -> list[str]:
    return [link.tag.name for link in get_task(task.pk).tag_links.all()]


def last_record() -> tuple[Any, ...]:
    row = AuditLog.objects.latest("id")
    return (row.operation, row.resource_id, row.client_name, row.old_values, row.new_values)


# Making


def test_a_new_task_is_pending_and_recorded() -> None:
    task = make(priority=3)
    assert (task.status, task.is_archived, task.created_at) == ("PENDING", False, task.updated_at)
    values = {"name": "Write", "priority": 3, "status": "PENDING"}
    assert last_record() == ("create_task", task.pk, "ann", None, values)


def test_a_planned_and_estimated_task_has_its_hours_set_aside() -> None:
    monday = datetime.fromisoformat("2030-01-14T09:00:00")
    task = make(planned_start=monday, planned_end=monday + timedelta(days=1), estimated_duration=6)
    assert [day.hours for day in task.daily_allocations.all()] == [3, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "Task name cannot be empty"),
        ({"name": " \t\n"}, "Task name cannot be empty"),
        ({"name": "x" * 256}, "longer than 255"),
        ({"priority": 0}, "priority must be greater than 0"),
        ({"estimated_duration": -1.0}, "estimated_duration must be greater than 0"),
    ],
)
def test_a_task_against_the_rules_is_not_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidTaskError, match=message):
        make(**options)
    assert not Task.objects.exists()
    assert not AuditLog.objects.filter(success=True).exists()


@pytest.mark.parametrize("field", ["deadline", "planned_start", "planned_end"])
def test_a_new_task_cannot_lie_in_the_past(field: str) -> None:
    moment = datetime.fromisoformat("2020-01-01T09:00:00")
    with pytest.raises(InvalidTaskError) as refused:
        make(**{field: moment})
    assert str(refused.value) == (
        f"Cannot set {field} to past date: 2020-01-01T09:00:00. "
        f"Tasks that haven't started must have future dates."
    )
    assert not Task.objects.exists()


def test_a_plan_of_a_thousand_years_is_refused_and_makes_nothing() -> None:
    start = timezone.now() + timedelta(days=1)
    with pytest.raises(InvalidTaskError, match="3660 days"):
        make(
            planned_start=start,
            planned_end=start + timedelta(days=365_000),
            estimated_duration=8,
            tags=["home"],
        )
    assert not Task.objects.exists()
    assert not Tag.objects.exists()
    assert not DailyAllocation.objects.exists()


def test_without_a_record_there_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**values: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(audit, "record", refuse)
    with pytest.raises(OSError, match="disk full"):
        make(tags=["home"])
    assert not Task.objects.exists()
    assert not Tag.objects.exists()


# Deleting


def test_a_deleted_task_takes_what_hangs_on_it() -> None:
    start = timezone.now() + timedelta(days=1)
    task = make(planned_start=start, planned_end=start, estimated_duration=1, tags=["home"])
    write_notes(task.pk, content="text", client_name=None)
    deleted = delete_task(task.pk, client_name="ann")
    assert deleted.pk == task.pk
    assert not Task.objects.exists()
    assert not Note.objects.exists()
    assert not DailyAllocation.objects.exists()
    assert Tag.objects.get().name == "home"
    assert last_record() == ("delete_task", task.pk, "ann", None, None)


def test_those_that_waited_for_a_deleted_task_wait_no_more_and_each_is_recorded() -> None:
    first, second, third = make("1"), make("2"), make("3")
    depend(second, first)
    depend(third, first, second)
    before = get_task(third.pk).updated_at
    delete_task(first.pk, client_name="bob")
    assert get_task(third.pk).updated_at > before
    assert (depends_on(second), depends_on(third)) == ([], [second.pk])
    rows = AuditLog.objects.filter(operation="remove_dependency").order_by("id")
    removed = {"removed_dependency": first.pk}
    assert [(row.resource_id, row.old_values, row.client_name) for row in rows] == [
        (second.pk, removed, "bob"),
        (third.pk, removed, "bob"),
    ]


def test_deleting_nothing_is_not_found() -> None:
    with pytest.raises(TaskNotFoundError):
        delete_task(99, client_name=None)
    assert not AuditLog.objects.filter(success=True).exists()


# Tags


def test_tags_keep_the_order_in_which_they_were_given() -> None:
    task = make(tags=["b", "a"])
    assert tags_of(task) == ["b", "a"]
    set_tags(task.pk, tags=["c", "a", "b"], client_name="ann")
    assert tags_of(task) == ["c", "a", "b"]
    assert last_record() == ("set_tags", task.pk, "ann", None, {"tags": ["c", "a", "b"]})


def test_case_and_space_tell_tags_apart() -> None:
    assert tags_of(make(tags=["work", "Work", " work "])) == ["work", "Work", " work "]


def test_no_tags_takes_all_away_and_the_words_stay() -> None:
    task = make(tags=["a"])
    set_tags(task.pk, tags=[], client_name=None)
    assert tags_of(task) == []
    assert Tag.objects.get().name == "a"


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["a", "a"], "unique"),
        ([""], "empty"),
        (["  "], "empty"),
        (["x" * 51], "cannot exceed 50"),
        ([str(number) for number in range(21)], "more than 20"),
    ],
)
def test_tags_against_the_rules_change_nothing(tags: list[str], message: str) -> None:
    task = make(tags=["old"])
    with pytest.raises(InvalidTagsError, match=message):
        set_tags(task.pk, tags=tags, client_name=None)
    with pytest.raises(InvalidTagsError, match=message):
        make("second", tags=tags)
    assert tags_of(task) == ["old"]
    assert Task.objects.count() == Tag.objects.count() == 1
    assert AuditLog.objects.filter(success=True).count() == 1


# Notes


def test_a_task_without_a_note_reads_as_an_empty_one_that_is_not_stored() -> None:
    task = make()
    assert read_notes(task.pk).content == ""
    assert not Note.objects.exists()


def test_a_note_is_replaced_and_the_task_does_not_count_as_changed() -> None:
    task = make()
    write_notes(task.pk, content="one", client_name="ann")
    write_notes(task.pk, content="two", client_name="ann")
    assert Note.objects.get().content == "two"
    assert get_task(task.pk).updated_at == task.updated_at
    assert last_record() == ("update_notes", task.pk, "ann", None, {"has_notes": True})


def test_an_emptied_note_stays_as_a_row() -> None:
    task = make()
    write_notes(task.pk, content="one", client_name="ann")
    write_notes(task.pk, content="", client_name="ann")
    assert Note.objects.get().content == ""
    assert last_record()[-1] == {"has_notes": False}


@pytest.mark.parametrize(
    "act", [read_notes, lambda pk: write_notes(pk, content="x", client_name=None)]
)
def test_a_note_of_nothing_is_not_found(act: Any) -> None:
    with pytest.raises(TaskNotFoundError):
        act(99)
    assert not Note.objects.exists()


# Dependencies


def test_a_dependency_is_added_and_removed_and_both_are_recorded() -> None:
    task, other = make("1"), make("2")
    depend(task, other)
    assert depends_on(task) == [other.pk]
    assert get_task(task.pk).updated_at > task.updated_at
    assert last_record() == (
        "add_dependency",
        task.pk,
        "ann",
        None,
        {"added_dependency": other.pk},
    )
    remove_dependency(task.pk, depends_on_id=other.pk, client_name="ann")
    assert depends_on(task) == []
    assert last_record() == (
        "remove_dependency",
        task.pk,
        "ann",
        {"removed_dependency": other.pk},
        None,
    )


def test_a_task_cannot_wait_for_itself() -> None:
    task = make()
    with pytest.raises(InvalidDependencyError, match=r"^Task cannot depend on itself$"):
        depend(task, task)
    assert depends_on(task) == []


def test_a_dependency_is_added_once() -> None:
    task, other = make("1"), make("2")
    depend(task, other)
    with pytest.raises(
        InvalidDependencyError, match=f"^Task {task.pk} already depends on task {other.pk}$"
    ):
        depend(task, other)
    assert depends_on(task) == [other.pk]


def test_a_dependency_that_is_not_there_cannot_be_removed() -> None:
    task = make()
    with pytest.raises(
        InvalidDependencyError, match=f"^Task {task.pk} does not depend on task 99$"
    ):
        remove_dependency(task.pk, depends_on_id=99, client_name=None)


@pytest.mark.parametrize("missing", ["task", "other"])
def test_both_tasks_must_exist(missing: str) -> None:
    known = make().pk
    pair = (99, known) if missing == "task" else (known, 99)
    with pytest.raises(TaskNotFoundError, match="Task with ID 99 not found"):
        add_dependency(pair[0], depends_on_id=pair[1], client_name=None)
    assert not TaskDependency.objects.exists()


def test_a_cycle_is_refused_and_drawn() -> None:
    two, three, four = make("2"), make("3"), make("4")
    depend(two, three)
    depend(three, four)
    with pytest.raises(InvalidDependencyError) as refused:
        depend(four, two)
    a, b, c = two.pk, three.pk, four.pk
    assert str(refused.value) == (
        f"Circular dependency detected: adding this dependency would create a cycle:\n"
        f"  {c} → {a} → {b} → {c}\n"
        f"Task {c} cannot depend on task {a} because it would create a circular chain."
    )
    assert depends_on(four) == []


def test_two_ways_to_the_same_task_are_no_cycle() -> None:
    top, left, right, bottom = (make(name) for name in "abcd")
    depend(left, bottom)
    depend(right, bottom)
    depend(top, left, right)
    assert depends_on(top) == [left.pk, right.pk]


def test_a_chain_longer_than_python_recurses_is_followed() -> None:
    tasks = Task.objects.bulk_create(Task(name=str(number)) for number in range(1500))
    TaskDependency.objects.bulk_create(
        TaskDependency(task=task, depends_on=following) for task, following in pairwise(tasks)
    )
    with pytest.raises(InvalidDependencyError, match="Circular"):
        depend(tasks[-1], tasks[0])
    assert depends_on(tasks[-1]) == []
