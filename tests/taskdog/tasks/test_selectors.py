from datetime import datetime

import pytest
from pytest_django import DjangoAssertNumQueries

from taskdog.exceptions import InvalidFilterError
from taskdog.tasks.exceptions import TaskNotFoundError
from taskdog.tasks.models import Task
from taskdog.tasks.selectors import ORDERS, get_task, list_tasks
from taskdog.tasks.serializers import TaskSerializer
from taskdog.tasks.services import add_dependency, create_task, set_tags, write_notes

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


@pytest.mark.parametrize("sort", sorted(ORDERS))
def test_every_sort_key_works_both_ways(sort: str) -> None:
    create_task("a", client_name=None)
    assert names(sort=sort) == names(sort=sort, reverse=True) == ["a"]


def test_an_unknown_sort_key_is_refused() -> None:
    with pytest.raises(InvalidFilterError, match="Invalid sort key 'color'"):
        list_tasks(sort="color")


def test_a_list_takes_as_many_queries_for_many_tasks_as_for_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(6):
        task = create_task(
            f"task {number}",
            planned_start=SOON,
            planned_end=SOON,
            estimated_duration=2,
            client_name=None,
        )
        set_tags(task.pk, tags=["a", f"b{number}"], client_name=None)
        write_notes(task.pk, content="text", client_name=None)
        if number:
            add_dependency(task.pk, depends_on_id=task.pk - 1, client_name=None)
    with django_assert_num_queries(5):
        found = list_tasks()
        rows = TaskSerializer(found.tasks, many=True).data
    assert len(rows) == 6
    assert all(row["has_notes"] and row["tags"] and row["daily_allocations"] for row in rows)
