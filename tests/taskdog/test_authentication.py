from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from pytest_django import Settings
from rest_framework.test import APIClient

from backups.api.authentication import ApiClient
from backups.disk import private_files
from taskdog.audit.models import AuditLog
from taskdog.tasks.models import Task
from tests.taskdog.conftest import ClientFactory

TASKS = "/api/v1/tasks"

pytestmark = pytest.mark.django_db


def detail(response: HttpResponse) -> tuple[int, str]:
    assert response["Content-Type"] == "application/json"
    return response.status_code, response.json()["detail"]  # type: ignore[attr-defined]


@pytest.fixture
def staff() -> User:
    return User.objects.create_user("ann", password="pw", is_staff=True)


def logged_in(user: User, *, csrf: bool = False) -> APIClient:
    client = APIClient(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


# API keys


def test_a_key_opens_the_tasks(client_with: ClientFactory) -> None:
    assert client_with("tasks").get(TASKS).status_code == 200


def test_no_key_is_401_and_names_the_scheme(client_with: ClientFactory) -> None:
    client_with("tasks")
    response = APIClient().get(TASKS)
    assert detail(response) == (401, "API key required")
    assert response["WWW-Authenticate"] == 'ApiKey header="X-Api-Key"'


def test_an_empty_key_is_no_key(client_with: ClientFactory) -> None:
    client_with("tasks")
    response = APIClient().get(TASKS, headers={"X-Api-Key": ""})
    assert detail(response) == (401, "API key required")


@pytest.mark.parametrize("key", ["wrong", "clé", "\xff\xfe", "鍵", " ", "x" * 8000])
def test_a_wrong_key_is_401(key: str, client_with: ClientFactory) -> None:
    client_with("tasks")
    response = APIClient().get(TASKS, headers={"X-Api-Key": key})
    assert detail(response) == (401, "Invalid API key")


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": "any"}])
def test_without_any_keys_everybody_gets_401(headers: dict[str, str]) -> None:
    response = APIClient().get(TASKS, headers=headers)
    assert detail(response) == (401, "Authentication required but no API keys configured")


def test_a_key_file_that_breaks_while_running_refuses_every_key(
    client_with: ClientFactory, keys_file: Path
) -> None:
    client = client_with("tasks")
    assert client.get(TASKS).status_code == 200
    private_files.replace(keys_file, b"{")
    assert detail(client.get(TASKS)) == (401, "Invalid API key")
    assert detail(APIClient().get(TASKS)) == (401, "API key required")


def test_a_refused_caller_is_answered_before_the_body_is_looked_at(
    client_with: ClientFactory,
) -> None:
    client_with("tasks")
    response = APIClient().post(TASKS, "{no json", content_type="application/json")
    assert detail(response) == (401, "API key required")


def test_the_holder_of_a_key_stands_for_no_user() -> None:
    client = ApiClient("laptop")
    assert (client.get_username(), str(client), client.pk) == ("laptop", "laptop", None)
    assert (client.is_authenticated, client.is_staff) == (True, False)


# Sessions


def test_staff_with_a_session_may_use_the_tasks(staff: User) -> None:
    assert logged_in(staff).get(TASKS).status_code == 200


def test_a_user_who_is_not_staff_gets_403() -> None:
    user = User.objects.create_user("bob", password="pw")
    status, text = detail(logged_in(user).get(TASKS))
    assert status == 403
    assert "'tasks'" in text


def test_a_change_by_session_needs_the_csrf_token(staff: User) -> None:
    response = logged_in(staff, csrf=True).post(TASKS, {"name": "forged"})
    assert response.status_code == 403
    assert not Task.objects.exists()


def test_a_change_by_session_is_recorded_under_the_users_name(staff: User) -> None:
    client = logged_in(staff, csrf=True)
    client.get(TASKS, headers={"Accept": "text/html"})  # the page brings the token
    token = client.cookies["csrftoken"].value
    response = client.post(TASKS, {"name": "mine"}, headers={"X-CSRFToken": token})
    assert response.status_code == 201
    assert AuditLog.objects.get().client_name == "ann"


def test_a_wrong_csrf_token_is_refused_before_the_body_is_looked_at(staff: User) -> None:
    client = logged_in(staff, csrf=True)
    client.get(TASKS, headers={"Accept": "text/html"})
    response = client.post(
        TASKS, "{no json", content_type="application/json", headers={"X-CSRFToken": "a" * 64}
    )
    assert response.status_code == 403


def test_a_key_is_asked_before_the_session(staff: User, client_with: ClientFactory) -> None:
    client_with("tasks")
    response = logged_in(staff).get(TASKS, headers={"X-Api-Key": "wrong"})
    assert detail(response) == (401, "Invalid API key")


# Authentication switched off


def test_switched_off_the_tasks_are_open_and_the_record_names_nobody(
    settings: Settings,
) -> None:
    settings.TASKDOG_AUTH_ENABLED = False
    assert APIClient().post(TASKS, {"name": "open"}).status_code == 201
    assert AuditLog.objects.get().client_name is None
