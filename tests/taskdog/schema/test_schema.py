"""The description says what the site does: every endpoint, its errors, and true answers."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from backups.api import query
from backups.api.errors import STATUS
from taskdog.schema import views
from taskdog.schema.site import add_plain_views
from tests.site import Server

Schema = dict[str, Any]

OWN = ("schema", "docs")  # the description does not describe itself


@pytest.fixture(scope="module")
def schema() -> Schema:
    return made()


@pytest.fixture(scope="module")
def strict(schema: Schema) -> Schema:
    """The description, with no key in an answer but those that it tells."""
    described: Schema = json.loads(json.dumps(schema))
    for component in described["components"]["schemas"].values():
        if "properties" in component:
            component["additionalProperties"] = False
    return described


def made() -> Schema:
    described: Schema = json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))
    return described


def endpoints(patterns: list[Any], prefix: str = "/") -> Iterator[tuple[str, str]]:
    """Every path of the site with each of its methods, as the description writes them."""
    for pattern in patterns:
        path = prefix + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from endpoints(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and pattern.name not in OWN:
            for method in methods(pattern.callback):
                yield path, method


def methods(view: Callable[..., Any]) -> list[str]:
    actions = getattr(view, "actions", None)
    if actions:
        return [name for name in actions if name != "head"]
    cls = getattr(view, "cls", None)
    if cls is None:
        return ["get"]  # a plain view
    return [name for name in ("get", "post", "put", "patch", "delete") if hasattr(cls, name)]


def operations(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_it_is_made_without_a_warning_and_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    GENERATOR_STATS.reset()
    described = made()
    validate_schema(described)
    assert (GENERATOR_STATS._warn_cache, GENERATOR_STATS._error_cache) == ({}, {})
    assert capsys.readouterr().err == ""


def test_every_endpoint_is_described_and_none_that_is_not_there(schema: Schema) -> None:
    there = {
        (path, method)
        for path, method in endpoints(get_resolver().url_patterns)
        if not path.startswith(("/api-auth/", "/backups"))  # pages
    }
    assert len(there) > 40
    assert {(path, method) for path, method, _ in operations(schema)} == there


def test_every_endpoint_of_the_api_tells_its_errors(schema: Schema) -> None:
    for path, method, operation in operations(schema):
        statuses = set(operation["responses"])
        assert operation["summary"], (path, method)
        if not path.startswith("/api/"):
            assert operation["security"] == [{}]
            continue
        assert {"401", "403"} <= statuses, (path, method)
        if "_id}" in path:
            assert {"404", "422"} <= statuses, (path, method)
        if "requestBody" in operation:
            assert {"413", "415"} <= statuses, (path, method)
        assert {"ApiKey": []} in operation["security"]


def test_backups_statuses_are_told(schema: Schema) -> None:
    told = {
        int(status)
        for path, _, operation in operations(schema)
        if path.startswith(("/api/v1/backup", "/api/v1/restore"))
        for status in operation["responses"]
    }
    assert set(STATUS.values()) <= told


def test_backups_parameters_are_told(schema: Schema) -> None:
    read = set(re.findall(r'query_params\.get\("(\w+)"', Path(query.__file__).read_text()))
    told = {
        parameter["name"]
        for path, _, operation in operations(schema)
        if path.startswith(("/api/v1/backup", "/api/v1/restore"))
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }
    assert read
    assert told == read


def test_what_a_task_always_has_is_required(schema: Schema) -> None:
    for name in ("TaskOperation", "UpdatedTask", "Task", "TaskDetail", "AuditLog", "Notes"):
        component = schema["components"]["schemas"][name]
        assert set(component["required"]) == set(component["properties"]), name


def test_operation_ids_are_unique(schema: Schema) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(ids) == len(set(ids))


def test_ids_are_whole_numbers(schema: Schema) -> None:
    for path, _, operation in operations(schema):
        for parameter in operation.get("parameters", ()):
            if parameter["name"].endswith("_id") and parameter["in"] == "path":
                assert parameter["schema"]["type"] == "integer", path


def test_the_plain_views_are_added_to_what_is_there() -> None:
    assert add_plain_views({"paths": {"/x": {}}})["paths"].keys() == {
        "/x",
        "/",
        "/health",
        "/health/backups",
    }


# Answers


def check(schema: Schema, path: str, response: Any) -> None:
    """Hold an answer against what is described for its path, method and status."""
    method = response.request["REQUEST_METHOD"].lower()
    described = schema["paths"][path][method]["responses"][str(response.status_code)]
    if response.status_code == 204:
        assert "content" not in described
        return
    (content,) = described["content"].values()
    validator = Draft202012Validator(content["schema"] | {"components": schema["components"]})
    problems = [error.message for error in validator.iter_errors(response.json())]
    assert problems == [], path


def test_answers_are_as_described(strict: Schema, api: APIClient) -> None:
    def call(method: str, path: str, body: Any = None, query: str = "", **places: Any) -> Any:
        full = f"/api/v1/{path}"
        response = getattr(api, method)(full.format(**places) + query, body)
        check(strict, full, response)
        return response

    one: dict[str, Any] = {"task_id": 1}
    plan = {"planned_start": "2030-01-14T09:00:00", "planned_end": "2030-01-15T09:00:00.5"}
    call("post", "tasks", {"name": "a", "tags": ["x", "y"], "estimated_duration": 3, **plan})
    call("post", "tasks", {"name": "b"})
    call("post", "tasks", {"name": ""})
    call("post", "tasks", {"name": " "})
    call("put", "tasks/{task_id}/notes", {"content": "text"}, **one)
    call("get", "tasks/{task_id}/notes", **one)
    call("delete", "tasks/{task_id}/notes", **one)
    call("put", "tasks/{task_id}/tags", {"tags": ["x"]}, **one)
    call("post", "tasks/{task_id}/dependencies", {"depends_on_id": 2}, **one)
    call("post", "tasks/{task_id}/start", **one)
    call("get", "tasks")
    call("get", "tasks", query="?status=x")
    call("get", "tasks", query="?all=x")
    call("get", "tasks/by-ids", query="?ids=1&ids=2")
    call("get", "tasks/executable")
    call("get", "tasks/{task_id}", **one)
    call("get", "tasks/{task_id}", task_id=99)
    call("get", "tasks/{task_id}", task_id="x")
    call("patch", "tasks/{task_id}", {"priority": 3, "deadline": "2031-01-01T00:00:00"}, **one)
    call("delete", "tasks/{task_id}/dependencies/{depends_on_id}", depends_on_id=2, **one)
    for name in ("start", "pause", "start", "complete", "reopen", "cancel", "archive", "restore"):
        call("post", f"tasks/{{task_id}}/{name}", **one)
    call("post", "tasks/{task_id}/fix-actual", {"actual_duration": 2}, **one)
    call("post", "tasks/{task_id}/fix-actual", {}, **one)
    for name in ("start", "complete", "archive", "restore", "pause", "cancel", "reopen", "delete"):
        call("post", f"tasks/bulk/{name}", {"task_ids": [2, 99]})
    call("get", "tags/statistics")
    call("delete", "tags/{tag_name}", tag_name="x")
    call("delete", "tags/{tag_name}", tag_name="x")
    call("delete", "tasks/{task_id}", **one)
    call("get", "audit-logs")
    call("get", "audit-logs", query="?start_date=x")
    call("get", "audit-logs/{log_id}", log_id=1)
    call("get", "audit-logs/{log_id}", log_id=99999)


def test_answers_of_a_stranger_are_as_described(schema: Schema, api: APIClient) -> None:
    check(schema, "/api/v1/tasks", APIClient().get("/api/v1/tasks"))
    check(schema, "/api/v1/restores", api.get("/api/v1/restores"))  # a key without the scope


@pytest.mark.proof
def test_answers_of_backups_are_as_described(
    strict: Schema, server: Server, snapshot: Path
) -> None:
    def call(method: str, path: str, **options: Any) -> Any:
        response = server.api(method, path, **options)
        operation = strict["paths"][f"/api/v1/{path.partition('?')[0]}"][method.lower()]
        described = operation["responses"][str(response.status_code)]["content"]
        content = described[response.headers["Content-Type"].partition(";")[0]]
        body = Draft202012Validator(content["schema"] | {"components": strict["components"]})
        assert [error.message for error in body.iter_errors(response.json())] == [], path
        return response

    upload = snapshot.read_bytes()
    headers = {"Content-Type": "application/vnd.sqlite3"}
    call("GET", "restore")
    call("DELETE", "restore")
    call("POST", "restore", data=b"x", headers=headers)
    assert call("POST", "restore", data=upload, headers=headers).json()["status"] == "pending"
    call("GET", "restore")
    call("DELETE", "restore")
    call("POST", "restore?apply=perhaps")
    now = call("POST", "restore?apply=now", data=upload, headers=headers)
    assert now.json()["status"] == "applied", now.text
    call("GET", "restores")
    call("GET", "restores?limit=x")
    call("POST", "restore/undo")
    call("GET", "backup?compact=x")
    backup = server.api("GET", "backup?compact=1")
    described = strict["paths"]["/api/v1/backup"]["get"]["responses"]["200"]["content"]
    assert backup.headers["Content-Type"] in described


# Over HTTP


@pytest.mark.parametrize("query", ["", "?format=json"])
def test_it_is_open_to_everybody(query: str) -> None:
    response = Client().get(f"/api/v1/schema{query}")
    assert response.status_code == 200
    assert b"/api/v1/tasks" in response.content


@pytest.mark.parametrize("media_type", ["application/vnd.oai.openapi", "application/json"])
def test_it_is_made_once_whatever_is_asked_for_and_by_whomever(
    media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a processor a second, and anybody may ask."""
    made: list[object] = []
    make: Any = SchemaGenerator.get_schema

    def count(generator: SchemaGenerator, *arguments: Any, **options: Any) -> Any:
        made.append(generator)
        return make(generator, *arguments, **options)

    monkeypatch.setattr(SchemaGenerator, "get_schema", count)
    monkeypatch.setattr(views, "description", views.Description())
    first = Client(headers={"Accept": media_type}).get("/api/v1/schema")
    asked = [
        f"/api/v1/schema?version={n}&lang=de&page={n}{more}"
        for n in range(3)
        for more in ("", "&x")
    ]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(Client(headers={"Accept": f"{media_type};indent=8"}).get, asked))
    assert {answer.content for answer in answers} == {first.content}
    assert len(made) == 1
    assert first["Content-Type"].startswith(media_type)
    assert "Accept" in first["Vary"]


def test_those_who_ask_at_the_same_time_wait_for_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[object] = []

    def count(*_: object, **__: object) -> dict[str, Any]:
        made.append(1)
        return {}

    monkeypatch.setattr(SchemaGenerator, "get_schema", count)
    description = views.Description()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: description.rendered_by(OpenApiJsonRenderer()), range(16)))
    assert len(made) == 1


def test_failure_to_make_it_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no file today")

    description = views.Description()
    with monkeypatch.context() as patched:
        patched.setattr(SchemaGenerator, "get_schema", fail)
        with pytest.raises(OSError, match="no file today"):
            description.rendered_by(OpenApiJsonRenderer())
    assert "/api/v1/tasks" in str(description.rendered_by(OpenApiJsonRenderer()))


def test_the_page_takes_nothing_from_elsewhere_and_all_that_it_takes_is_there(
    server: Server,
) -> None:
    page = server.http.get(f"{server.url}/api/v1/docs", timeout=60)
    assert page.status_code == 200
    taken = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(taken) >= 4
    for url in taken:
        assert url.startswith(("/static/drf_spectacular_sidecar/", "/api/v1/docs?")), url
        assert server.http.get(server.url + url, timeout=60).status_code == 200, url
    script = server.http.get(f"{server.url}/api/v1/docs?script=", timeout=60).text
    assert '"/api/v1/schema"' in script.replace("\\u002D", "-")


def test_backups_knows_nothing_of_it() -> None:
    folder = Path(query.__file__).parent
    assert not [path for path in folder.rglob("*.py") if "drf_spectacular" in path.read_text()]
