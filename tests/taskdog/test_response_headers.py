import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from taskdog.response_headers import LOG_OUT

PAGES = ["/api/v1/tasks", "/api/v1/restore", "/api/v1/docs", "/api-auth/login/"]
HTML = {"Accept": "text/html"}


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_no_script_but_those_of_our_files(path: str, client: Client) -> None:
    answer = client.get(path, headers=HTML)
    assert answer["Content-Type"].startswith("text/html")
    policy = answer["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert [
        each for each in policy if each.startswith("script-src 'self' 'unsafe-hashes' 'sha256-")
    ]
    assert "frame-ancestors 'none'" in policy
    page = answer.content.decode().replace(f"onclick='{LOG_OUT}'", "")
    for attributes, content in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL):
        assert "src=" in attributes or "application/json" in attributes, content
    assert not re.search(r"<[^>]+\son\w+=", page), "a handler in an attribute is a script too"


@pytest.mark.django_db
def test_way_to_log_out_is_the_one_that_is_let_through(client: Client) -> None:
    client.force_login(User.objects.create(username="ann", is_staff=True))
    page = client.get("/api/v1/tasks", headers=HTML).content.decode()
    assert re.findall(r"\son\w+=('[^']*'|\"[^\"]*\")", page) == [f"'{LOG_OUT}'"]


@pytest.mark.django_db
def test_what_is_no_page_may_load_nothing(api: APIClient) -> None:
    policy = api.get("/api/v1/tasks")["Content-Security-Policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/tasks/99", "/api/v1/audit-logs"])
def test_answers_of_the_api_are_stored_nowhere(path: str, api: APIClient) -> None:
    assert api.get(path)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PAGES)
def test_pages_with_data_are_stored_nowhere(path: str, client: Client) -> None:
    assert "no-store" in client.get(path, headers=HTML)["Cache-Control"]


def test_script_of_the_description_is_an_answer_of_its_own(client: Client) -> None:
    page = client.get("/api/v1/docs").content.decode()
    (script,) = re.findall(r'src="(/api/v1/docs\?[^"]+)"', page)
    answer = client.get(script)
    assert answer["Content-Type"].startswith("application/javascript")
    assert b"SwaggerUIBundle(" in answer.content
