from datetime import date, datetime, timedelta
from unittest.mock import ANY

import pytest
from pytest_django import DjangoAssertNumQueries

from taskdog.exceptions import InvalidFilterError
from taskdog.tasks.exceptions import TaskNotFoundError
from taskdog.tasks.models import Task
from taskdog.tasks.selectors import (
    DATES,
    SORT_KEYS,
    TagCount,
    count_tags,
    get_task,
    list_by_ids,
    list_executable,
    list_tasks,
)
from taskdog.tasks.serializers import TaskSerializer
from taskdog.tasks.services import add_dependency, create_task, write_notes

pytestmark = pytest.mark.django_db

SOON, LATER = (datetime.fromisoformat(f"20{year}-01-01T00:00:00") for year in (30, 31))


def names(**options: object) -> list[str]:
    return [task.name for task in list_tasks(**options).tasks]  # type: ignore[arg-type]


@pytest.mark.parametrize("task_id", [0, -1, 99, 2**63 - 1, 2**63, 10**30])
def test_an_id_without_a_task_is_not_found(task_id: int) -> None:
    with pytest.raises(TaskNotFoundError, match=f"Task with ID {task_id} not found"):
        get_task(task_id)


def test_archived_tasks_are_hidden_unless_asked_for() -> None:
    create_task("open", client_name=None)
    Task.objects.create(name="archived", is_archived=True)
    assert names() == ["open"]
    assert names(include_archived=True) == ["open", "archived"]
    assert list_tasks().total_count == 2


def test_a_status_is_found_in_either_case() -> None:
    Task.objects.create(name="done", status="COMPLETED")
    create_task("open", client_name=None)
    assert names(status="completed") == names(status="COMPLETED") == ["done"]
    assert names(status="") == names() == ["done", "open"]


def test_an_unknown_status_names_those_there_are() -> None:
    with pytest.raises(InvalidFilterError) as refused:
        list_tasks(status="lost")
    assert str(refused.value) == (
        "Invalid status filter 'lost'. Valid values are: PENDING, IN_PROGRESS, COMPLETED, CANCELED"
    )


def test_a_task_with_any_of_the_tags_is_listed_once() -> None:
    create_task("both", tags=["a", "b"], client_name=None)
    create_task("one", tags=["b"], client_name=None)
    create_task("other", tags=["B"], client_name=None)
    assert names(tags=["a", "b"]) == ["both", "one"]


def test_what_has_no_deadline_comes_last_and_first_when_reversed() -> None:
    for name, deadline in (("none", None), ("later", LATER), ("soon", SOON)):
        create_task(name, deadline=deadline, client_name=None)
    assert names(sort="deadline") == ["soon", "later", "none"]
    assert names(sort="deadline", reverse=True) == ["none", "later", "soon"]


def test_by_priority_the_highest_comes_first_after_those_without() -> None:
    for name, priority in (("low", 1), ("high", 9), ("none", None)):
        create_task(name, priority=priority, client_name=None)
    assert names(sort="priority") == ["none", "high", "low"]
    assert names(sort="priority", reverse=True) == ["low", "high", "none"]


def test_names_are_sorted_whatever_their_case() -> None:
    for name in ("b", "A", "c"):
        create_task(name, client_name=None)
    assert names(sort="name") == ["A", "b", "c"]
    assert names(sort="name", reverse=True) == ["c", "b", "A"]


def test_names_are_sorted_whatever_their_case_beyond_ascii() -> None:
    for name in ("Ärger", "ärger", "ÄRGER 2"):
        create_task(name, client_name=None)
    assert names(sort="name") == ["Ärger", "ärger", "ÄRGER 2"]


@pytest.mark.parametrize("sort", SORT_KEYS)
def test_every_sort_key_works_both_ways(sort: str) -> None:
    create_task("a", client_name=None)
    assert names(sort=sort) == names(sort=sort, reverse=True) == ["a"]


def test_an_unknown_sort_key_is_refused() -> None:
    with pytest.raises(InvalidFilterError, match="Invalid sort key 'color'"):
        list_tasks(sort="color")


@pytest.mark.parametrize("count", [1, 25])
@pytest.mark.parametrize("sort", ["id", "name"])
def test_a_list_takes_as_many_queries_for_many_tasks_as_for_one(
    count: int, sort: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    tasks = make_many(count)
    with django_assert_num_queries(5):
        rows = TaskSerializer(list_tasks(sort=sort).tasks, many=True).data
    assert len(rows) == count
    assert all(row["has_notes"] and row["tags"] and row["daily_allocations"] for row in rows)
    with django_assert_num_queries(4):
        found = list_by_ids([task.pk for task in tasks])
        assert TaskSerializer(found.tasks, many=True).data == (rows if sort == "id" else ANY)
    with django_assert_num_queries(4):
        assert TaskSerializer(list_executable(limit=count), many=True).data
    with django_assert_num_queries(1):
        assert len(count_tags()) == count + 1


def make_many(count: int) -> list[Task]:
    """Tasks with two tags, a note, a dependency and an allocation each, but for the first."""
    tasks = []
    for number in range(count):
        task = create_task(
            f"task {number}",
            planned_start=SOON,
            planned_end=SOON,
            estimated_duration=2,
            tags=["a", f"b{number}"],
            client_name=None,
        )
        write_notes(task.pk, content="text", client_name=None)
        if number:
            add_dependency(task.pk, depends_on_id=task.pk - 1, client_name=None)
        tasks.append(task)
    return tasks


# Dates


@pytest.mark.parametrize("column", DATES)
def test_any_date_within_the_days_counts(column: str) -> None:
    Task.objects.create(name="dated", **{column: datetime.fromisoformat("2030-01-02T23:59:59")})
    Task.objects.create(name="undated")
    for start, end, found in (
        (2, 2, True),
        (1, 3, True),
        (2, None, True),
        (None, 2, True),
        (3, None, False),
        (None, 1, False),
        (3, 1, False),
    ):
        bounds = {
            "start": date(2030, 1, start) if start else None,
            "end": date(2030, 1, end) if end else None,
        }
        assert names(**bounds) == (["dated"] if found else []), bounds
    assert names() == ["dated", "undated"]


def test_one_date_must_lie_within_both_days() -> None:
    Task.objects.create(name="around", planned_start=SOON, planned_end=SOON + timedelta(days=9))
    assert names(start=date(2030, 1, 3), end=date(2030, 1, 5)) == []


def test_the_last_day_there_is_does_not_overflow() -> None:
    Task.objects.create(name="late", deadline=datetime.fromisoformat("9999-12-31T23:59:59.999999"))
    assert names(start=date.max, end=date.max) == ["late"]


# By ids


def test_tasks_are_found_by_ids_in_their_order_and_twice_if_asked_twice() -> None:
    first, second = (create_task(name, tags=[name], client_name=None) for name in "ab")
    Task.objects.filter(pk=second.pk).update(is_archived=True)
    found = list_by_ids([second.pk, 99, first.pk, second.pk, 0, -5])
    assert [task.name for task in found.tasks] == ["b", "a", "b"]
    assert [task.tag_names for task in found.tasks] == [["b"], ["a"], ["b"]]
    assert found.total_count == 3


# What to work on next


def executable(**options: object) -> list[str]:
    return [task.name for task in list_executable(**options)]  # type: ignore[arg-type]


def test_only_what_is_open_and_waits_for_nothing_can_be_worked_on() -> None:
    made: dict[str, dict[str, object]] = {
        "pending": {},
        "running": {"status": "IN_PROGRESS"},
        "done": {"status": "COMPLETED"},
        "given up": {"status": "CANCELED"},
        "put away": {"is_archived": True},
        "done and put away": {"status": "COMPLETED", "is_archived": True},
        "waits": {},
        "need not wait": {},
    }
    for name, fields in made.items():
        Task.objects.create(name=name, **fields)
    known = {task.name: task.pk for task in Task.objects.all()}
    for waiting, other in (
        ("waits", "done"),
        ("waits", "pending"),
        ("need not wait", "done"),
        ("need not wait", "done and put away"),
    ):
        add_dependency(known[waiting], depends_on_id=known[other], client_name=None)
    assert executable() == ["running", "pending", "need not wait"]


def test_the_most_urgent_comes_first() -> None:
    ranked: list[tuple[str, dict[str, object]]] = [
        ("8", {"priority": None, "estimated_duration": None}),
        ("9", {"priority": None, "estimated_duration": None}),
        ("7", {"priority": None, "estimated_duration": 9.0}),
        ("6", {"priority": 1, "estimated_duration": None}),
        ("5", {"priority": 2, "estimated_duration": None}),
        ("4", {"priority": 2, "estimated_duration": 9.0}),
        ("3", {"deadline": LATER, "priority": 9}),
        ("2", {"deadline": SOON}),
        ("1", {"deadline": LATER, "status": "IN_PROGRESS"}),
        ("0", {"deadline": SOON, "status": "IN_PROGRESS"}),
    ]
    for name, fields in ranked:
        Task.objects.create(name=name, **fields)
    assert "".join(executable()) == "0123456789"
    assert "".join(executable(limit=3)) == "012"


def test_what_to_work_on_is_filtered_by_tag() -> None:
    create_task("a", tags=["x", "y"], client_name=None)
    create_task("b", tags=["z"], client_name=None)
    create_task("c", client_name=None)
    assert executable(tags=["x", "y"]) == ["a"]
    assert executable(tags=["nothing"]) == []


# Tags


def test_tags_are_counted_with_those_of_archived_tasks_and_without_unused_ones() -> None:
    create_task("a", tags=["y", "x"], client_name=None)
    task = create_task("b", tags=["y", "z"], client_name=None)
    Task.objects.update(is_archived=True)
    assert count_tags() == [TagCount("x", 1), TagCount("y", 2), TagCount("z", 1)]
    Task.objects.filter(pk=task.pk).delete()
    assert count_tags() == [TagCount("x", 1), TagCount("y", 1)]
