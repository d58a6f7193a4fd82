"""What browsers say of a request: a page of another site changes nothing."""

import pytest
from django.test import Client
from pytest_django import Settings

from taskdog.tasks.models import Task

pytestmark = pytest.mark.django_db

FROM_ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:8001"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "something new"},
]
FROM_HERE = [
    {},
    {"Origin": "http://testserver"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-site", "Origin": "https://trusted.example"},
    # A proxy that ends TLS, of which the site was not told
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://testserver"},
]


@pytest.fixture(autouse=True)
def _open(settings: Settings) -> None:
    settings.TASKDOG_AUTH_ENABLED = False
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example"]


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_change_from_another_site_is_refused(
    method: str, headers: dict[str, str], client: Client
) -> None:
    task = Task.objects.create(name="stays as it is")
    path = f"/api/v1/tasks/{task.pk}" + ("/start" if method == "POST" else "")
    answer = client.generic(method, path, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "This request comes from another site.",
    )
    assert Task.objects.get().status == "PENDING"


@pytest.mark.parametrize("headers", FROM_HERE)
def test_change_from_here_or_from_a_program_is_made(
    headers: dict[str, str], client: Client
) -> None:
    task = Task.objects.create(name="begins")
    assert client.post(f"/api/v1/tasks/{task.pk}/start", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_links_from_other_sites_lead_here(headers: dict[str, str], client: Client) -> None:
    assert client.get("/api/v1/tasks", headers=headers).status_code == 200
