from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from taskdog.audit.models import AuditLog
from taskdog.tasks.models import Task
from taskdog.transactions import is_postgres

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


# Change


def test_a_task_is_changed_and_told_which_fields(api: APIClient) -> None:
    task_id = make(api, tags=["old"], priority=1)["id"]
    body: dict[str, Any] = {
        "tags": [],
        "priority": "7",
        "name": None,
        "status": "IN_PROGRESS",
        "color": "red",
    }
    response = api.patch(f"{TASKS}/{task_id}", body)
    assert response.status_code == 200
    changed = response.json()
    assert changed.keys() == OPERATION_KEYS | {"updated_fields"}
    assert changed["updated_fields"] == ["status", "priority", "tags"]
    assert (changed["tags"], changed["priority"]) == ([], 7)
    assert (changed["name"], changed["status"]) == ("Write", "IN_PROGRESS")


def test_an_empty_change_is_fine(api: APIClient) -> None:
    made = make(api)
    response = api.patch(f"{TASKS}/{made['id']}", {})
    assert (response.status_code, response.json()) == (200, made | {"updated_fields": []})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 256),
        ("status", "pending"),
        ("status", {}),
        ("priority", 0),
        ("priority", 1.5),
        ("estimated_duration", 0),
        ("deadline", "2030-01-01T00:00:00Z"),
        ("is_fixed", "perhaps"),
        ("tags", ["a", "a"]),
    ],
)
def test_a_change_that_is_wrong_is_422_and_named(field: str, value: Any, api: APIClient) -> None:
    task_id = make(api)["id"]
    before = api.get(f"{TASKS}/{task_id}").json()
    response = api.patch(f"{TASKS}/{task_id}", {"is_fixed": True} | {field: value})
    assert response.status_code == 422
    assert {problem["loc"][1] for problem in response.json()["detail"]} == {field}
    assert api.get(f"{TASKS}/{task_id}").json() == before


# Life


@pytest.mark.parametrize(
    ("before", "verb", "key", "value"),
    [
        ("PENDING", "start", "status", "IN_PROGRESS"),
        ("IN_PROGRESS", "complete", "status", "COMPLETED"),
        ("IN_PROGRESS", "pause", "status", "PENDING"),
        ("PENDING", "cancel", "status", "CANCELED"),
        ("CANCELED", "reopen", "status", "PENDING"),
        ("PENDING", "archive", "is_archived", True),
    ],
)
def test_a_task_takes_a_step_alone_and_in_bulk(
    before: str, verb: str, key: str, value: Any, api: APIClient
) -> None:
    first, second = make(api)["id"], make(api)["id"]
    Task.objects.update(status=before)
    response = api.post(f"{TASKS}/{first}/{verb}")
    assert response.status_code == 200
    assert response.json().keys() == OPERATION_KEYS
    assert response.json()[key] == value
    response = api.post(f"{TASKS}/bulk/{verb}", {"task_ids": [second, 99]})
    assert response.status_code == 200
    done, missing = response.json()["results"]
    assert (done["task_id"], done["success"], done["error"]) == (second, True, None)
    assert done["task"].keys() == OPERATION_KEYS
    assert done["task"][key] == value
    error = "Task with ID 99 not found"
    assert missing == {"task_id": 99, "success": False, "task": None, "error": error}


def test_a_step_that_cannot_be_is_400_in_words(api: APIClient) -> None:
    task_id = make(api)["id"]
    response = api.post(f"{TASKS}/{task_id}/restore")
    assert (response.status_code, response.json()) == (
        400,
        {"detail": f"Cannot restore task with ID {task_id}. Only archived tasks can be restored."},
    )


def test_an_archived_task_is_hidden_read_only_and_comes_back(api: APIClient) -> None:
    task_id = make(api)["id"]
    api.post(f"{TASKS}/{task_id}/archive")
    assert api.get(TASKS).json()["tasks"] == []
    assert api.patch(f"{TASKS}/{task_id}", {"name": "x"}).status_code == 400
    assert api.get(f"{TASKS}/{task_id}").json()["can_be_modified"] is False
    response = api.post(f"{TASKS}/bulk/restore", {"task_ids": [task_id]})
    assert response.json()["results"][0]["task"]["is_archived"] is False


def test_what_is_deleted_in_bulk_is_not_shown_once_more(api: APIClient) -> None:
    task_id = make(api)["id"]
    response = api.post(f"{TASKS}/bulk/delete", {"task_ids": [task_id]})
    done = {"task_id": task_id, "success": True, "task": None, "error": None}
    assert response.json() == {"results": [done]}
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    "task_ids", [None, [], 1, "1", [None], ["x"], [1.5], [2**63], [1] * 1001, {}]
)
def test_ids_that_are_none_are_422(task_ids: Any, api: APIClient) -> None:
    task_id = make(api)["id"]
    response = api.post(f"{TASKS}/bulk/start", {"task_ids": task_ids})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][:2] == ["body", "task_ids"]
    assert api.get(f"{TASKS}/{task_id}").json()["status"] == "PENDING"


def test_actual_times_are_corrected_and_cleared(api: APIClient) -> None:
    url = f"{TASKS}/{make(api)['id']}/fix-actual"
    flags = dict.fromkeys(("clear_start", "clear_end", "clear_duration"), False)
    times = {"actual_start": "2026-01-05T09:00:00", "actual_end": "2026-01-05T17:30:00"}
    fixed = api.post(url, times | flags | {"actual_duration": None})
    assert fixed.status_code == 200
    assert {name: fixed.json()[name] for name in times} == times
    assert fixed.json()["actual_duration_hours"] == 8.5
    cleared = api.post(url, {"clear_end": True, "actual_duration": "3.5"}).json()
    assert (cleared["actual_end"], cleared["actual_duration"]) == (None, 3.5)
    assert cleared["actual_start"] == times["actual_start"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"actual_start": "2026-01-05T09:00:00", "clear_start": True},
            "Value error, Cannot set actual_start and clear_start simultaneously",
        ),
        (
            {"actual_duration": 1, "clear_duration": True},
            "Value error, Cannot set actual_duration and clear_duration simultaneously",
        ),
        (
            {"actual_end": None, "clear_end": False},
            "Value error, At least one of actual_start, actual_end, actual_duration, "
            "clear_start, clear_end, or clear_duration must be specified",
        ),
    ],
)
def test_a_correction_that_makes_no_sense_is_422(
    body: dict[str, Any], message: str, api: APIClient
) -> None:
    response = api.post(f"{TASKS}/{make(api)['id']}/fix-actual", body)
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert problem == {"type": "value_error", "loc": ["body"], "msg": message, "input": body}


# Chosen tasks


def test_tasks_are_listed_by_ids(api: APIClient) -> None:
    first, second = make(api, "1")["id"], make(api, "2")["id"]
    url = f"{TASKS}/by-ids?ids={second}&ids=99&ids={first}&ids={second}"
    listed = api.get(url).json()
    assert [task["id"] for task in listed["tasks"]] == [second, first, second]
    assert listed["tasks"][0].keys() == ROW_KEYS
    assert (listed["total_count"], listed["filtered_count"], listed["gantt"]) == (3, 3, None)


@pytest.mark.parametrize("query", ["", "?ids=", "?ids=x", "?ids=1&ids=1.5", f"?ids={2**63}"])
def test_a_list_by_no_ids_is_422(query: str, api: APIClient) -> None:
    response = api.get(f"{TASKS}/by-ids{query}")
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][:2] == ["query", "ids"]


def test_what_to_work_on_next_is_ranked(api: APIClient) -> None:
    make(api, "later", priority=1)
    make(api, "now", priority=2, tags=["x"])
    next_ = api.get(f"{TASKS}/executable").json()
    assert next_.keys() == {"tasks", "ranking_basis"}
    assert [task["name"] for task in next_["tasks"]] == ["now", "later"]
    assert next_["tasks"][0].keys() == ROW_KEYS
    assert next_["ranking_basis"] == [
        "in_progress_first",
        "deadline_asc",
        "priority_desc",
        "estimate_asc",
        "id_asc",
    ]
    assert len(api.get(f"{TASKS}/executable?limit=1").json()["tasks"]) == 1
    assert len(api.get(f"{TASKS}/executable?tags=x&tags=y").json()["tasks"]) == 1


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5", str(2**63)])
def test_a_limit_that_is_none_is_422(limit: str, api: APIClient) -> None:
    assert api.get(f"{TASKS}/executable", {"limit": limit}).status_code == 422


def test_a_list_is_filtered_by_day(api: APIClient) -> None:
    make(api, "in", deadline="2030-01-15T23:59:00")
    make(api, "out", deadline="2030-01-16T00:00:00")
    query = {"start_date": "2030-01-01T00:00:00", "end_date": "2030-01-15"}
    listed = api.get(TASKS, query).json()
    assert [task["name"] for task in listed["tasks"]] == ["in"]
    assert (listed["total_count"], listed["filtered_count"]) == (2, 1)
    assert api.get(TASKS, {"start_date": "", "end_date": ""}).json()["filtered_count"] == 2


@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_a_day_that_is_none_is_400_in_words(name: str, api: APIClient) -> None:
    response = api.get(TASKS, {name: "x"})
    assert (response.status_code, response.json()) == (
        400,
        {"detail": "Invalid date format: Invalid isoformat string: 'x'"},
    )


def test_more_than_a_hundred_tags_are_no_filter(api: APIClient) -> None:
    for path in (TASKS, f"{TASKS}/executable"):
        tags = "&".join(f"tags={number}" for number in range(101))
        assert api.get(f"{path}?{tags}").status_code == 422


# Notes and tags


def test_a_deleted_note_leaves_an_empty_one(api: APIClient) -> None:
    url = f"{TASKS}/{make(api)['id']}"
    api.put(f"{url}/notes", {"content": "text"})
    response = api.delete(f"{url}/notes")
    assert (response.status_code, response.content) == (204, b"")
    shown = api.get(url).json()
    assert (shown["notes"], shown["has_notes"]) == ("", False)


def test_tags_are_counted_and_deleted(api: APIClient) -> None:
    task_id = make(api, tags=["a", "b"])["id"]
    make(api, tags=["a"])
    assert api.get("/api/v1/tags/statistics").json() == {
        "tags": [
            {"tag": "a", "count": 2, "completion_rate": 0.0},
            {"tag": "b", "count": 1, "completion_rate": 0.0},
        ],
        "total_tags": 2,
    }
    response = api.delete("/api/v1/tags/a")
    assert (response.status_code, response.json()) == (
        200,
        {"tag_name": "a", "affected_task_count": 2},
    )
    assert api.get(f"{TASKS}/{task_id}").json()["tags"] == ["b"]
    again = api.delete("/api/v1/tags/a")
    assert (again.status_code, again.json()) == (404, {"detail": "Tag 'a' not found"})
    row = AuditLog.objects.filter(operation="delete_tag").earliest("id")
    assert (row.resource_type, row.resource_id, row.resource_name) == ("tag", None, "a")
    assert (row.old_values, row.client_name) == ({"affected_task_count": 2}, "tester")


def test_in_bulk_a_task_takes_few_queries_and_its_details_none(
    api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ids = [make(api, tags=["a"])["id"] for _ in range(12)]
    # Savepoint in and out, the task, its dependencies, the change, the record; and the details. In
    # PostgreSQL, a query for one's turn.
    with django_assert_num_queries(12 * (6 + is_postgres()) + 3):
        response = api.post(f"{TASKS}/bulk/start", {"task_ids": ids})
    assert all(result["task"]["tags"] == ["a"] for result in response.json()["results"])


def test_a_change_takes_few_queries_however_much_hangs_on_the_task(
    api: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    others = [make(api, str(number))["id"] for number in range(12)]
    task = make(api, tags=[str(number) for number in range(20)])["id"]
    for other in others:
        api.post(f"{TASKS}/{task}/dependencies", {"depends_on_id": other})
    Task.objects.filter(pk__in=others).update(status="COMPLETED")
    for method, path, body in (
        ("patch", "", {"name": "x", "tags": ["a", "b"], "priority": 1}),
        ("post", "/start", None),
        ("post", "/fix-actual", {"actual_duration": 1}),
        ("put", "/tags", {"tags": ["x"]}),
        ("put", "/notes", {"content": "x"}),
        ("delete", f"/dependencies/{others[0]}", None),
        ("post", "/archive", None),
        ("delete", "", None),
    ):
        with django_assert_max_num_queries(20):
            response = getattr(api, method)(f"{TASKS}/{task}{path}", body)
        assert response.status_code == 200, path


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
        ("patch", "/1"),
        ("get", "/by-ids"),
        ("get", "/executable"),
        ("post", "/1/start"),
        ("post", "/1/fix-actual"),
        ("post", "/bulk/start"),
        ("delete", "/1/notes"),
    ],
)
def test_nothing_is_open_to_a_stranger(method: str, path: str, api: APIClient) -> None:
    assert getattr(APIClient(), method)(TASKS + path).status_code == 401
