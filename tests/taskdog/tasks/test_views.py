from typing import Any

import pytest
from rest_framework.test import APIClient

from taskdog.tasks.models import Task

TASKS = "/api/v1/tasks"

OPERATION_KEYS = {
    "id",
    "name",
    "status",
    "priority",
    "deadline",
    "estimated_duration",
    "planned_start",
    "planned_end",
    "actual_start",
    "actual_end",
    "actual_duration_hours",
    "depends_on",
    "tags",
    "is_fixed",
    "is_archived",
    "daily_allocations",
    "actual_duration",
}
ROW_KEYS = (OPERATION_KEYS - {"actual_duration"}) | {
    "is_finished",
    "has_notes",
    "created_at",
    "updated_at",
}
DETAIL_KEYS = ROW_KEYS | {"is_active", "can_be_modified", "is_schedulable", "notes"}


def make(api: APIClient, name: Any = "Write", **fields: Any) -> dict[str, Any]:
    response = api.post(TASKS, {"name": name} | fields)
    assert response.status_code == 201, response.content
    made: dict[str, Any] = response.json()
    return made


def test_a_made_task_is_answered_with_what_was_given(api: APIClient) -> None:
    task = make(
        api,
        priority=5,
        deadline="2030-01-20T18:00:00",
        planned_start="2030-01-14T09:00:00.250000",
        planned_end="2030-01-15T18:00:00",
        estimated_duration=3,
        is_fixed=True,
        tags=["b", "a"],
    )
    assert task.keys() == OPERATION_KEYS
    assert task["deadline"] == "2030-01-20T18:00:00"
    assert task["planned_start"] == "2030-01-14T09:00:00.250000"
    assert task["daily_allocations"] == {"2030-01-14": 1.5, "2030-01-15": 1.5}
    assert (task["tags"], task["is_fixed"], task["depends_on"]) == (["b", "a"], True, [])


def test_null_stands_for_what_is_not_given(api: APIClient) -> None:
    fields = ("priority", "planned_start", "planned_end", "deadline", "estimated_duration", "tags")
    task = make(api, **dict.fromkeys(fields))
    assert [task[field] for field in fields] == [None] * 5 + [[]]


def test_numbers_in_text_are_understood_and_unknown_fields_ignored(api: APIClient) -> None:
    task = make(api, priority="5", estimated_duration="1.5", color="red")
    assert (task["priority"], task["estimated_duration"]) == (5, 1.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", ""),
        ("name", 5),
        ("name", "x" * 256),
        ("name", "a\0b"),
        ("priority", 0),
        ("priority", 1.5),
        ("priority", 2**63),
        ("priority", 10**400),
        ("priority", "many"),
        ("estimated_duration", 0),
        ("estimated_duration", "inf"),
        ("estimated_duration", "nan"),
        ("estimated_duration", 10**400),
        ("deadline", "2030-01-01T00:00:00Z"),
        ("deadline", "2030-01-01T00:00:00+02:00"),
        ("planned_start", "tomorrow"),
        ("planned_end", 5),
        ("planned_end", []),
        ("is_fixed", None),
        ("is_fixed", "perhaps"),
        ("is_fixed", {}),
        ("tags", "home"),
        ("tags", ["a", "a"]),
        ("tags", [""]),
        ("tags", [None]),
        ("tags", ["x" * 51]),
        ("tags", [str(number) for number in range(21)]),
    ],
)
def test_a_field_that_is_wrong_is_422_and_named(field: str, value: Any, api: APIClient) -> None:
    response = api.post(TASKS, {"name": "Write"} | {field: value})
    assert response.status_code == 422
    assert {problem["loc"][1] for problem in response.json()["detail"]} == {field}
    assert not Task.objects.exists()


def test_a_rule_of_the_domain_is_400_in_words(api: APIClient) -> None:
    response = api.post(TASKS, {"name": "  "})
    assert (response.status_code, response.json()) == (
        400,
        {"detail": "Task name cannot be empty"},
    )


def test_a_list_has_rows_and_counts(api: APIClient) -> None:
    make(api, "one")
    Task.objects.create(name="archived", is_archived=True)
    listed = api.get(TASKS).json()
    assert listed.keys() == {"tasks", "total_count", "filtered_count", "gantt"}
    assert (listed["total_count"], listed["filtered_count"], listed["gantt"]) == (2, 1, None)
    assert listed["tasks"][0].keys() == ROW_KEYS
    assert api.get(TASKS, {"all": "true"}).json()["filtered_count"] == 2


def test_a_list_is_filtered_and_sorted_as_asked(api: APIClient) -> None:
    for name, tag in (("b", "x"), ("a", "y"), ("c", "z")):
        make(api, name, tags=[tag])
    url = f"{TASKS}?status=pending&tags=x&tags=y&sort=name&reverse=false&include_gantt=false"
    assert [task["name"] for task in api.get(url).json()["tasks"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"status": "lost"}, 400),
        ({"status": ""}, 400),
        ({"sort": "color"}, 400),
        ({"sort": ""}, 400),
        ({"all": "perhaps"}, 422),
        ({"reverse": ""}, 422),
        ({"status": "a\0"}, 422),
    ],
)
def test_a_list_that_cannot_be_is_refused(
    query: dict[str, str], status: int, api: APIClient
) -> None:
    response = api.get(TASKS, query)
    assert response.status_code == status
    if status == 422:
        assert [problem["loc"] for problem in response.json()["detail"]] == [["query", *query]]


def test_one_task_is_shown_whole(api: APIClient) -> None:
    task_id = make(api)["id"]
    shown = api.get(f"{TASKS}/{task_id}").json()
    assert shown.keys() == DETAIL_KEYS
    assert (shown["notes"], shown["has_notes"]) == (None, False)
    assert "+" not in shown["created_at"]


@pytest.mark.parametrize(
    ("task_id", "status"),
    [("99", 404), ("-1", 404), (str(2**63), 404), ("1" * 40, 422), ("abc", 422), ("1.5", 422)],
)
@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_id_that_leads_nowhere_is_no_fault_of_ours(
    method: str, task_id: str, status: int, api: APIClient
) -> None:
    response = getattr(api, method)(f"{TASKS}/{task_id}")
    assert response.status_code == status
    if status == 404:
        assert response.json() == {"detail": f"Task with ID {task_id} not found"}


def test_a_deleted_task_is_shown_once_more(api: APIClient) -> None:
    made = make(api, tags=["home"])
    response = api.delete(f"{TASKS}/{made['id']}")
    assert (response.status_code, response.json()) == (200, made)
    assert api.get(f"{TASKS}/{made['id']}").status_code == 404


def test_notes_are_written_and_read(api: APIClient) -> None:
    task_id = make(api)["id"]
    url = f"{TASKS}/{task_id}/notes"
    empty = {"task_id": task_id, "content": "", "has_notes": False}
    assert api.get(url).json() == empty
    written = {"task_id": task_id, "content": " # Plan\n", "has_notes": True}
    assert api.put(url, {"content": " # Plan\n"}).json() == written
    assert api.get(url).json() == written
    assert api.get(f"{TASKS}/{task_id}").json()["notes"] == " # Plan\n"
    assert api.put(url, {"content": ""}).json() == empty
    assert api.get(f"{TASKS}/{task_id}").json()["notes"] == ""


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": 5}])
def test_notes_that_are_no_text_are_422(body: dict[str, Any], api: APIClient) -> None:
    task_id = make(api)["id"]
    assert api.put(f"{TASKS}/{task_id}/notes", body).status_code == 422
    assert api.get(f"{TASKS}/{task_id}").json()["notes"] is None


def test_tags_are_replaced(api: APIClient) -> None:
    url = f"{TASKS}/{make(api, tags=['old'])['id']}/tags"
    response = api.put(url, {"tags": ["new", "newer"]})
    assert (response.status_code, response.json()["tags"]) == (200, ["new", "newer"])
    assert api.put(url, {"tags": []}).json()["tags"] == []


@pytest.mark.parametrize("body", [{}, {"tags": None}, {"tags": ["a", "a"]}, {"tags": {"a": 1}}])
def test_tags_that_are_wrong_are_422_and_change_nothing(
    body: dict[str, Any], api: APIClient
) -> None:
    task_id = make(api, tags=["old"])["id"]
    assert api.put(f"{TASKS}/{task_id}/tags", body).status_code == 422
    assert api.get(f"{TASKS}/{task_id}").json()["tags"] == ["old"]


def test_a_dependency_is_added_and_removed(api: APIClient) -> None:
    first, second = make(api, "1")["id"], make(api, "2")["id"]
    url = f"{TASKS}/{second}/dependencies"
    added = api.post(url, {"depends_on_id": first})
    assert (added.status_code, added.json()["depends_on"]) == (200, [first])
    again = api.post(url, {"depends_on_id": first})
    assert (again.status_code, again.json()) == (
        400,
        {"detail": f"Task {second} already depends on task {first}"},
    )
    removed = api.delete(f"{url}/{first}")
    assert (removed.status_code, removed.json()["depends_on"]) == (200, [])
    assert api.delete(f"{url}/{first}").status_code == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"depends_on_id": 99}, 404),
        ({"depends_on_id": 0}, 404),
        ({"depends_on_id": 2**63}, 422),
        ({"depends_on_id": None}, 422),
        ({}, 422),
    ],
)
def test_a_dependency_that_cannot_be_is_refused(
    body: dict[str, Any], status: int, api: APIClient
) -> None:
    task_id = make(api)["id"]
    assert api.post(f"{TASKS}/{task_id}/dependencies", body).status_code == status
    assert api.get(f"{TASKS}/{task_id}").json()["depends_on"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("post", ""),
        ("get", "/1"),
        ("delete", "/1"),
        ("get", "/1/notes"),
        ("put", "/1/notes"),
        ("put", "/1/tags"),
        ("post", "/1/dependencies"),
        ("delete", "/1/dependencies/2"),
    ],
)
def test_nothing_is_open_to_a_stranger(method: str, path: str, api: APIClient) -> None:
    assert getattr(APIClient(), method)(TASKS + path).status_code == 401
