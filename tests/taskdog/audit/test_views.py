import pytest
from rest_framework.test import APIClient

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


def test_the_log_is_not_open_to_a_stranger(api: APIClient) -> None:
    assert APIClient().get(LOGS).status_code == 401
