"""No request, however wrong, is a fault of ours: every endpoint, every kind of nonsense."""

import json
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management.color import no_style
from django.db import connection
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from taskdog.audit import urls as audit_urls
from taskdog.tasks import urls as task_urls
from taskdog.tasks.models import Task
from taskdog.tasks.views import BULK_CHANGES

pytestmark = pytest.mark.proof

API = "/api/v1/"

IDS = [
    "0",
    "-1",
    "99",
    str(2**63 - 1),
    str(2**63),
    "-" + str(2**63),
    "9" * 19,
    "1" * 40,
    "9" * 5000,
    "1.5",
    "1e3",
    "abc",
    "null",
    "true",
    " 1",
    "+1",
    "1 OR 1=1",
    "٣",
    "１",
    "\0",
    "\n",
    "..",
    "%ff",
    "'\"",
    "💥",
]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    2**63,
    -(2**63),
    10**400,
    1e308,
    -1e308,
    5e-324,
    "",
    " ",
    "x",
    "0",
    "1",
    "inf",
    "nan",
    "1e400",
    "x" * 5000,
    "1" * 5000,
    "a\0b",
    "\u202e💥",
    "2030-01-01T00:00:00Z",
    "2030-01-01T00:00:00+02:00",
    "2030-02-30T00:00:00",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.999999",
    "PENDING",
    "COMPLETED",
    [],
    {},
    [[]],
    [None],
    [1, 1, 1],
    [1, 99, 2**63],
    ["a", "a"],
    ["a\0"],
    [{}],
    [10**400],
    list(range(1, 1200)),
    {"a": {"b": 1}},
]
# Who reads a body: the fields that it knows, and what else it wants.
NEW = ("name", "priority", "planned_start", "planned_end", "deadline")
READERS: dict[tuple[str, str], tuple[tuple[str, ...], dict[str, Any]]] = {
    ("post", "tasks"): ((*NEW, "estimated_duration", "is_fixed", "tags"), {"name": "Write"}),
    ("patch", "tasks/1"): ((*NEW, "status", "estimated_duration", "is_fixed", "tags"), {}),
    ("post", "tasks/1/fix-actual"): (
        (
            "actual_start",
            "actual_end",
            "actual_duration",
            "clear_start",
            "clear_end",
            "clear_duration",
        ),
        {},
    ),
    ("put", "tasks/1/notes"): (("content",), {}),
    ("put", "tasks/1/tags"): (("tags",), {}),
    ("post", "tasks/1/dependencies"): (("depends_on_id",), {}),
} | {("post", f"tasks/bulk/{name}"): (("task_ids",), {}) for name in BULK_CHANGES}
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"\xff\xfe\x00",
    b"\x00",
    b'{"name": NaN}',
    b'{"estimated_duration": Infinity}',
    b'{"priority": 1e999}',
    b'{"priority": ' + b"9" * 6000 + b"}",
    b'{"name": "\\ud800"}',
    b'{"name": "a", "name": null}',
    b"[" * 100_000,
    b'{"tags": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
]
PARAMETERS = (
    "all",
    "status",
    "tags",
    "start_date",
    "end_date",
    "sort",
    "reverse",
    "include_gantt",
    "ids",
    "limit",
    "offset",
    "client",
    "operation",
    "resource_type",
    "resource_id",
    "success",
    "format",
)
QUERY_VALUES = [
    "",
    "0",
    "-1",
    "1",
    "99",
    str(2**63),
    "9" * 3000,
    "x",
    "true",
    "%00",
    "%ff%fe",
    "%ED%A0%80",
    "2030-01-01T00:00:00Z",
    "2030-01-01T00:00:00%2B02:00",
    "9999-12-31",
    "0001-01-01",
    "2030-02-30",
    "%F0%9F%92%A5",
    "priority,id;DROP TABLE tasks",
    "1&{name}=1&{name}=",
]

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


def routes() -> list[str]:
    """Every path of the two apps, with placeholders where an id goes."""
    patterns = [*task_urls.urlpatterns, *audit_urls.urlpatterns]
    assert all(isinstance(pattern, URLPattern) for pattern in patterns)
    return [API + str(pattern.pattern) for pattern in patterns]


PLACES = ("<str:task_id>", "<str:depends_on_id>", "<str:log_id>", "<rest:tag_name>")


def filled(route: str, value: str) -> str:
    for place in PLACES:
        route = route.replace(place, quote(value, safe="%"))
    return route


def send(api: APIClient, method: str, path: str, body: bytes | None = None) -> Any:
    sent: Any = {} if body is None else {"data": body, "content_type": "application/json"}
    return getattr(api, method)(path, **sent)


def check(response: Any, *about: Any) -> None:
    """Fine, or refused in the form that the clients read."""
    assert response.status_code < 500, about
    if response.status_code >= 400 and response.content:
        detail = response.json()["detail"]
        assert isinstance(detail, list if response.status_code == 422 else str), about
        for problem in detail if isinstance(detail, list) else ():
            assert problem.keys() == {"type", "loc", "msg", "input"}, about


@pytest.fixture
def task(db: None) -> Task:
    task = Task.objects.create(pk=1, name="Write")
    with connection.cursor() as cursor:  # SQLite itself counts on from there
        for statement in connection.ops.sequence_reset_sql(no_style(), [Task]):
            cursor.execute(statement)
    return task


def test_the_table_has_every_endpoint() -> None:
    assert len(routes()) == 28
    resolver = get_resolver()
    for route in routes():
        assert resolver.resolve(filled(route, "1"))
        assert "<" not in filled(route, "1"), "a place that the table does not fill"


@pytest.mark.parametrize("route", [route for route in routes() if "<" in route])
def test_no_path_is_a_fault_of_ours(route: str, task: Task, api: APIClient) -> None:
    for method, value in product(METHODS, IDS):
        check(send(api, method, filled(route, value)), method, value)


@pytest.mark.parametrize("route", routes())
def test_no_body_is_a_fault_of_ours(route: str, task: Task, api: APIClient) -> None:
    path = filled(route, str(task.pk))
    for method, body in product(("post", "put", "patch", "delete"), BODIES):
        check(send(api, method, path, body), method, body[:60])


def test_the_table_has_everybody_who_reads_a_body(task: Task, api: APIClient) -> None:
    paths = {filled(route, "1") for route in routes()}
    reading = {
        (method, path.removeprefix(API))
        for method, path in product(("post", "put", "patch", "delete"), paths)
        if send(api, method, path, b"[]").status_code == 422
    }
    assert reading == set(READERS)


@pytest.mark.parametrize(("method", "path"), READERS)
def test_no_field_is_a_fault_of_ours(method: str, path: str, task: Task, api: APIClient) -> None:
    fields, others = READERS[method, path]
    for field, value in product(fields, VALUES):
        body = json.dumps(others | {field: value}).encode()
        check(send(api, method, API + path, body), body[:80])


@pytest.mark.parametrize("name", PARAMETERS)
def test_no_query_is_a_fault_of_ours(name: str, task: Task, api: APIClient) -> None:
    readable = [route for route in routes() if api.get(filled(route, "1")).status_code != 405]
    assert len(readable) == 8
    for route, value in product(readable, QUERY_VALUES):
        query = f"?{name}={value.format(name=name)}"
        check(api.get(filled(route, str(task.pk)) + query), route, query)


@pytest.mark.parametrize("length", [3000, 200_000])
def test_many_parameters_are_no_fault_of_ours(length: int, task: Task, api: APIClient) -> None:
    for name in ("ids", "tags", "status"):
        for path in ("tasks", "tasks/by-ids", "tasks/executable", "audit-logs"):
            query = "&".join(f"{name}={number}" for number in range(length // 20))
            check(api.get(f"{API}{path}?{query}"), path, name)
