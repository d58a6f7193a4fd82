from datetime import datetime

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from taskdog.audit.models import AuditLog
from taskdog.tasks.services import create_task, delete_task

LOGS = "/api/v1/audit-logs"


@pytest.fixture(autouse=True)
def history(db: None) -> None:
    """Two tasks made by ann, one of them deleted by nobody in particular."""
    first = create_task("first", client_name="ann")
    create_task("second", client_name="ann")
    delete_task(first.pk, client_name=None)


def test_the_log_is_listed_newest_first(api: APIClient) -> None:
    page = api.get(LOGS).json()
    assert page.keys() == {"logs", "total_count", "limit", "offset"}
    assert (page["total_count"], page["limit"], page["offset"]) == (3, 100, 0)
    operations = [row["operation"] for row in page["logs"]]
    assert operations == ["delete_task", "create_task", "create_task"]
    assert page["logs"][0].keys() == {
        "id",
        "timestamp",
        "client_name",
        "operation",
        "resource_type",
        "resource_id",
        "resource_name",
        "old_values",
        "new_values",
        "success",
        "error_message",
    }


def test_a_change_over_http_is_recorded_under_the_keys_name(api: APIClient) -> None:
    api.post("/api/v1/tasks", {"name": "third"})
    (row,) = api.get(LOGS, {"client": "tester"}).json()["logs"]
    assert (row["operation"], row["resource_name"]) == ("create_task", "third")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"client": "ann"}, 2),
        ({"client": "nobody"}, 0),
        ({"operation": "delete_task"}, 1),
        ({"resource_type": "task"}, 3),
        ({"resource_type": "tag"}, 0),
        ({"resource_type": "task", "resource_id": "99999"}, 0),
        ({"success": "true"}, 3),
        ({"success": "false"}, 0),
        ({"color": "red"}, 3),
    ],
)
def test_the_log_is_filtered(query: dict[str, str], count: int, api: APIClient) -> None:
    page = api.get(LOGS, query).json()
    assert (page["total_count"], len(page["logs"])) == (count, count)


def test_a_page_of_the_log(api: APIClient) -> None:
    page = api.get(LOGS, {"limit": "1", "offset": "2"}).json()
    assert [row["resource_name"] for row in page["logs"]] == ["first"]
    assert (page["total_count"], page["limit"], page["offset"]) == (3, 1, 2)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "10001"},
        {"limit": "many"},
        {"offset": "-1"},
        {"offset": str(2**63)},
        {"resource_id": "one"},
        {"resource_id": "9" * 30},
        {"success": "perhaps"},
        {"client": "a\0"},
    ],
)
def test_a_query_that_is_wrong_is_422_and_named(query: dict[str, str], api: APIClient) -> None:
    response = api.get(LOGS, query)
    assert response.status_code == 422
    assert [problem["loc"] for problem in response.json()["detail"]] == [["query", *query]]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"start_date": "2000-01-01"}, 3),
        ({"start_date": "2999-01-01"}, 0),
        ({"end_date": "2000-01-01T00:00:00"}, 0),
        ({"end_date": "2999-01-01T23:59:59.999999"}, 3),
        ({"start_date": "2026-05-05T10:00:00", "end_date": "2026-05-05T10:00:00"}, 1),
        ({"start_date": "2026-05-05T10:00:00.000001"}, 2),
        ({"end_date": "2026-05-05"}, 1),
        ({"end_date": "2026-05-04"}, 0),
        ({"start_date": "", "end_date": ""}, 3),
    ],
)
def test_the_log_is_filtered_by_time(query: dict[str, str], count: int, api: APIClient) -> None:
    first = AuditLog.objects.earliest("id").pk
    moment = datetime.fromisoformat("2026-05-05T10:00:00")
    AuditLog.objects.filter(pk=first).update(timestamp=moment)
    assert api.get(LOGS, query).json()["total_count"] == count


@pytest.mark.parametrize("name", ["start_date", "end_date"])
@pytest.mark.parametrize("text", ["x", "2026-01-01T00:00:00Z", "2026-02-30"])
def test_a_time_that_is_none_is_400_in_words(name: str, text: str, api: APIClient) -> None:
    response = api.get(LOGS, {name: text})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("Invalid datetime format: ")


def test_what_was_refused_is_found(api: APIClient) -> None:
    api.post("/api/v1/tasks/99/start")
    (row,) = api.get(LOGS, {"success": "false"}).json()["logs"]
    assert (row["operation"], row["resource_id"], row["client_name"]) == (
        "start_task",
        99,
        "tester",
    )
    assert (row["success"], row["error_message"]) == (False, "Task with ID 99 not found")


def test_one_row_is_shown(api: APIClient) -> None:
    row = api.get(LOGS).json()["logs"][0]
    response = api.get(f"{LOGS}/{row['id']}")
    assert (response.status_code, response.json()) == (200, row)


@pytest.mark.parametrize("log_id", ["99999", "0", "-1", str(2**63)])
def test_a_row_that_is_not_there_is_404(log_id: str, api: APIClient) -> None:
    response = api.get(f"{LOGS}/{log_id}")
    assert (response.status_code, response.json()) == (
        404,
        {"detail": f"Audit log {log_id} not found"},
    )


def test_a_page_takes_as_many_queries_for_many_rows_as_for_one(
    api: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        create_task(str(number), client_name=None)
    with django_assert_num_queries(2):
        assert len(api.get(LOGS).json()["logs"]) == 33


def test_the_log_is_not_open_to_a_stranger(api: APIClient) -> None:
    assert APIClient().get(LOGS).status_code == 401
