import pytest
from django.contrib.auth.models import User
from django.test import Client

from taskdog.audit.models import AuditLog
from taskdog.tasks import services

PAGES = [
    "/api/v1/tasks",
    "/api/v1/tasks/{id}",
    "/api/v1/tasks/{id}/notes",
    "/api/v1/tasks/{id}/tags",
    "/api/v1/tasks/{id}/dependencies",
    "/api/v1/tasks/{id}/start",
    "/api/v1/tasks/{id}/fix-actual",
    "/api/v1/tasks/by-ids?ids={id}",
    "/api/v1/tasks/executable",
    "/api/v1/tasks/bulk/start",
    "/api/v1/tags/statistics",
    "/api/v1/tags/home",
    "/api/v1/audit-logs",
    "/api/v1/audit-logs/{log}",
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    User.objects.create_user("ann", password="pw", is_staff=True)
    return Client(headers={"Accept": "text/html"})


def test_staff_log_in_and_see_the_tasks(browser: Client) -> None:
    page = "/api/v1/tasks"
    login = browser.post(f"/api-auth/login/?next={page}", {"username": "ann", "password": "pw"})
    assert (login.status_code, login["Location"]) == (302, page)
    assert b"ann" in browser.get(page).content


@pytest.mark.parametrize("page", PAGES)
def test_every_page_can_be_opened(page: str, browser: Client) -> None:
    task = services.create_task("Write", client_name=None, tags=["home"])
    browser.login(username="ann", password="pw")
    response = browser.get(page.format(id=task.pk, log=AuditLog.objects.get().pk))
    assert response.status_code in (200, 405)  # 405: there is only a form to send
    assert b"<html" in response.content


def test_a_page_shows_its_description_as_markdown(browser: Client) -> None:
    browser.login(username="ann", password="pw")
    page = browser.get("/api/v1/restore/undo").content
    assert b"With <code>?apply=now</code> in the URL" in page
    assert b"`" not in page


def test_a_stranger_sees_a_page_with_the_way_to_log_in(browser: Client) -> None:
    response = browser.get("/api/v1/tasks")
    assert response.status_code == 401
    assert b"/api-auth/login/" in response.content


def test_no_page_may_be_framed(browser: Client) -> None:
    assert browser.get("/api/v1/tasks")["X-Frame-Options"] == "DENY"
