from typing import Any

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings
from rest_framework.exceptions import ParseError, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from taskdog.errors import STATUS
from taskdog.exceptions import TaskdogError
from taskdog.tasks.models import Task
from taskdog.urls import handler404, handler500

TASKS = "/api/v1/tasks"


class RaisingView(APIView):
    """Raises what another app might."""

    permission_classes = ()

    def get(self, request: Request, kind: str) -> Response:
        raise {"parse": ParseError("not mine"), "throttled": Throttled(), "bug": KeyError("x")}[
            kind
        ]


urlpatterns = [path("raise/<str:kind>", RaisingView.as_view())]
__all__ = ["handler404", "handler500"]


def problems(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 422
    found: list[dict[str, Any]] = response.json()["detail"]
    return found


def test_every_domain_error_has_a_status() -> None:
    def leaves(kind: type[TaskdogError]) -> list[type[TaskdogError]]:
        below = kind.__subclasses__()
        return [leaf for child in below for leaf in leaves(child)] or [kind]

    found = leaves(TaskdogError)
    assert len(found) >= 5
    assert all(any(issubclass(leaf, kind) for kind in STATUS) for leaf in found)


def test_a_missing_field_is_told_in_the_clients_form(api: APIClient) -> None:
    (problem,) = problems(api.post(TASKS, {"priority": 1}))
    assert problem == {
        "type": "missing",
        "loc": ["body", "name"],
        "msg": "This field is required.",
        "input": {"priority": 1},
    }


def test_a_problem_in_a_list_tells_the_position(api: APIClient) -> None:
    (problem,) = problems(api.post(TASKS, {"name": "a", "tags": ["x", 5]}))
    assert (problem["loc"], problem["input"]) == (["body", "tags", 1], 5)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'name': 1}",
        b"\xff\xfe",
        b'{"priority": NaN}',
        b"[" * 50_000,
        b"1" * 5000,
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"priority": 1e999}',
        b'{"name": ' + b"[" * 101 + b"]" * 101 + b"}",
    ],
)
def test_a_body_that_is_not_json_is_422(body: bytes, api: APIClient) -> None:
    (problem,) = problems(api.post(TASKS, body, content_type="application/json"))
    assert (problem["type"], problem["loc"]) == ("json_invalid", ["body"])
    assert not Task.objects.exists()


@pytest.mark.parametrize("body", ["[]", '"name"', "5", "null"])
def test_a_body_that_is_no_object_is_422(body: str, api: APIClient) -> None:
    assert problems(api.post(TASKS, body, content_type="application/json"))
    assert not Task.objects.exists()


def test_a_body_longer_than_any_task_is_413(api: APIClient, settings: Settings) -> None:
    settings.BACKUPS_MAX_BODY_BYTES = 100
    response = api.post(TASKS, {"name": "x" * 100})
    assert response.status_code == 413
    assert not Task.objects.exists()


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_type_is_415(media_type: str, api: APIClient) -> None:
    response = api.post(TASKS, "name=x", content_type=media_type)
    assert response.status_code == 415
    assert isinstance(response.json()["detail"], str)


def test_an_unknown_method_is_405(api: APIClient) -> None:
    response = api.put(TASKS, {})
    assert (response.status_code, response.json()) == (
        405,
        {"detail": 'Method "PUT" not allowed.'},
    )


@pytest.mark.parametrize("url", ["/api/v1/nothing", "/api/v1/tasks/", "/nowhere"])
def test_an_unknown_url_is_json_and_no_redirect(url: str) -> None:
    response = Client().get(url)
    assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


@pytest.mark.django_db
def test_an_unknown_host_is_refused() -> None:
    response = Client(headers={"Host": "evil.example"}).get("/api-auth/login/")
    assert (response.status_code, response.json()) == (400, {"detail": "Bad Request"})


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(("kind", "status"), [("parse", 400), ("throttled", 429)])
def test_what_other_apps_raise_keeps_its_status(kind: str, status: int) -> None:
    response = APIClient().get(f"/raise/{kind}")
    assert response.status_code == status
    assert isinstance(response.json()["detail"], str)


@pytest.mark.urls(__name__)
def test_a_fault_of_ours_is_a_500_that_tells_nothing() -> None:
    response = Client(raise_request_exception=False).get("/raise/bug")
    assert (response.status_code, response.json()) == (500, {"detail": "Internal Server Error"})
