"""Where somebody lands who may not, or no longer, see a page."""

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import include, path, re_path
from pytest_django import Settings
from rest_framework.request import Request

from backups.page import login
from tests.backups.page.project import (
    WITHOUT_ADMIN,
    WITHOUT_LOGINS,
    WITHOUT_MESSAGES,
    Project,
)

MakeProject = Callable[..., Project]


def page(request: HttpRequest, **_: object) -> HttpResponse:
    return HttpResponse()


PAGES = path("backups/", include("backups.page.urls"))
LOGIN = path("sign/in/", page, name="sign-in")
ADMIN = path("admin/", include(([path("login/", page, name="login")], "admin")))
DEFAULT = path("accounts/login/", page)
ANY = re_path(r"^(?P<path>.*)$", page)


@pytest.fixture
def urls(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Serve these, and only these."""

    def serve(*patterns: Any) -> None:
        urlconf: Any = type(secrets)(f"urls_{secrets.token_hex(4)}")
        urlconf.urlpatterns = [PAGES, *patterns]
        settings.ROOT_URLCONF = urlconf

    return serve


@pytest.mark.parametrize(
    ("asked", "patterns", "expected"),
    [
        ("/accounts/login/", [], None),
        ("/accounts/login/", [ADMIN], "/admin/login/"),
        ("/accounts/login/", [ADMIN, DEFAULT], "/accounts/login/"),
        ("/accounts/login/", [ADMIN, ANY], "/admin/login/"),
        ("/accounts/login/", [ANY], None),
        ("sign-in", [LOGIN, ADMIN], "/sign/in/"),
        ("sign-in", [ADMIN], "/admin/login/"),
        ("sign-in", [], None),
        ("/sign/in/", [LOGIN], "/sign/in/"),
        ("/sign/in/?by=staff", [LOGIN], "/sign/in/?by=staff"),
        ("/sign/in/", [], None),
        ("/sign/in/", [ANY], "/sign/in/"),
        ("https://sso.example.org/in", [ADMIN], "https://sso.example.org/in"),
        ("", [], None),
    ],
)
def test_login_is_the_page_that_the_project_has(
    asked: str, patterns: list[Any], expected: str | None, urls: Any, settings: Settings
) -> None:
    urls(*patterns)
    settings.LOGIN_URL = asked
    assert login.login_url() == expected


@pytest.mark.parametrize(
    ("asked", "patterns", "expected"),
    [
        ("sign-in", [LOGIN, ADMIN], "/app/sign/in/"),
        ("/app/sign/in/", [LOGIN, ADMIN], "/app/sign/in/"),
        ("/accounts/login/", [DEFAULT, ADMIN], "/app/admin/login/"),
        ("/sso/", [ADMIN], "/sso/"),  # of the site that the project is a part of
    ],
)
@pytest.mark.proof
def test_login_of_a_project_below_a_prefix(
    asked: str, patterns: list[Any], expected: str, project: MakeProject
) -> None:
    names = {id(LOGIN): "LOGIN", id(ADMIN): "ADMIN", id(DEFAULT): "DEFAULT"}
    listed = ", ".join(names[id(each)] for each in patterns)
    made = project(
        f"LOGIN_URL = {asked!r}\nFORCE_SCRIPT_NAME = '/app'\n{WITHOUT_ADMIN}",
        f"from tests.backups.page.test_login import ADMIN, DEFAULT, LOGIN\n"
        f"urlpatterns += [{listed}]",
    )
    answer = made.ask("answer = Client().get('/backups/history/').headers['Location']")
    assert answer == f"{expected}?next=/app/backups/history/"


def shown(url: str, *, method: str = "GET", path: str = "/backups/history/") -> Request:
    """A request of a script in the page of this URL."""
    return Request(RequestFactory().generic(method, path, headers={"HX-Current-URL": url}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://testserver/backups/snapshots/?page=2#x", "/backups/snapshots/?page=2"),
        ("https://evil.example/backups/", "/backups/"),
        ("//evil.example/backups/", "/backups/"),
        ("https://evil.example//evil.example/", "/backups/history/"),
        ("/elsewhere/", "/backups/history/"),
        ("http://[", "/backups/history/"),
        ("javascript:alert(1)", "/backups/history/"),
        ("javascript:/backups/", "/backups/"),
        ("", "/backups/history/"),
    ],
)
def test_only_a_page_of_ours_is_led_back_to(url: str, expected: str, urls: Any) -> None:
    urls()
    assert login.page_of(shown(url)) == expected


@pytest.mark.parametrize("url", ["https://a//evil.example/", "https://a/\\evil.example", "//a//b"])
def test_no_other_site_is_led_to_where_the_pages_are_at_the_root(
    url: str, settings: Settings
) -> None:
    urlconf: Any = type(secrets)("at_the_root")
    urlconf.urlpatterns = [path("", include("backups.page.urls"))]
    settings.ROOT_URLCONF = urlconf
    assert login.page_of(shown(url, path="/history/")) == "/history/"


def test_a_form_leads_back_to_the_first_page(urls: Any) -> None:
    urls()
    assert login.page_of(shown("", method="POST", path="/backups/snapshots/store/")) == "/backups/"


def test_another_host_is_told_the_whole_url(urls: Any, settings: Settings) -> None:
    urls()
    settings.LOGIN_URL = "https://sso.example.org/in?app=x"
    url = login.url_for(shown("http://testserver/backups/snapshots/?page=2"))
    assert parse_qs(urlsplit(str(url)).query) == {
        "app": ["x"],
        "next": ["http://testserver/backups/snapshots/?page=2"],
    }


# In projects of others: a restore that ends a session

LOST = """
from datetime import UTC, datetime
import json, pathlib, uuid
from django.contrib.sessions.models import Session

client = staff()
first = client.get("/backups/history/")
assert first.status_code == 200, first
Session.objects.all().delete()
now = datetime.now(UTC).isoformat()
receipts = pathlib.Path("db.sqlite3.restore-receipts.jsonl")
known = {"reason": "", "size": 1, "sha256": "0" * 64, "staged_at": now, "staged_by": "bob",
         "migrations": [], "kept": None, "seconds": 0.1}
with receipts.open("a") as file:
    for outcome in OUTCOMES:
        receipt = known | {"id": str(uuid.uuid4()), "at": now, "outcome": outcome}
        file.write(json.dumps(receipt) + "\\n")
lost = client.get("/backups/history/", headers=HEADERS)
to = lost.headers.get("Location") or lost.headers.get("HX-Redirect")
after = client.get(to or "/backups/history/")
again = client.get("/backups/history/")
answer = {
    "status": lost.status_code, "headers": dict(lost.headers), "text": lost.content.decode(),
    "after": after.content.decode(), "again": again.headers.get("Location"),
    "again_text": again.content.decode(),
}
"""
SENTENCE = "A restore has replaced the database"
NEXT = "?next=/backups/history/"


def lost(made: Project, *outcomes: str, **headers: str) -> dict[str, Any]:
    """What somebody sees whose session is gone, after a restore that ended so."""
    answer: dict[str, Any] = made.ask(f"OUTCOMES = {outcomes!r}\nHEADERS = {headers!r}\n{LOST}")
    return answer


@pytest.mark.parametrize("outcomes", [["applied"], ["applied", "staged", "refused"]], ids=str)
@pytest.mark.proof
def test_login_of_the_admin_says_that_a_restore_has_ended_the_session(
    outcomes: list[str], project: MakeProject
) -> None:
    answer = lost(project(), *outcomes)
    assert (answer["status"], answer["headers"]["Location"]) == (303, f"/admin/login/{NEXT}")
    assert SENTENCE in answer["after"]
    assert 'name="password"' in answer["after"]
    assert answer["again"] == f"/admin/login/{NEXT}"  # and nothing is said twice


@pytest.mark.proof
def test_a_part_of_a_page_leads_the_whole_page_to_the_login(project: MakeProject) -> None:
    answer = lost(project(), "applied", **{"HX-Request": "true"})
    assert (answer["status"], answer["headers"]["HX-Redirect"]) == (204, f"/admin/login/{NEXT}")
    assert SENTENCE in answer["after"]


@pytest.mark.parametrize("settings", ["", WITHOUT_ADMIN, WITHOUT_MESSAGES])
@pytest.mark.proof
def test_our_own_page_says_it_where_the_login_might_not(
    settings: str, project: MakeProject
) -> None:
    urls = "urlpatterns.append(path('api-auth/', include('rest_framework.urls')))"
    made = project(f"{settings}\nLOGIN_URL = 'rest_framework:login'", urls)
    answer = lost(made, "applied")
    assert answer["status"] == 200
    assert SENTENCE in answer["text"]
    assert f'href="/api-auth/login/{NEXT}"' in answer["text"]
    assert answer["again"] == f"/api-auth/login/{NEXT}"


@pytest.mark.proof
def test_a_part_of_a_page_leads_to_the_page_that_says_it(project: MakeProject) -> None:
    urls = "urlpatterns.append(path('api-auth/', include('rest_framework.urls')))"
    made = project(f"{WITHOUT_MESSAGES}\nLOGIN_URL = 'rest_framework:login'", urls)
    answer = lost(made, "applied", **{"HX-Request": "true"})
    assert (answer["status"], answer["headers"]["HX-Redirect"]) == (204, "/backups/history/")
    assert SENTENCE in answer["after"]


@pytest.mark.parametrize("outcomes", [[], ["staged"], ["refused"], ["blocked"]], ids=str)
@pytest.mark.proof
def test_a_session_that_ended_otherwise_is_told_nothing(
    outcomes: list[str], project: MakeProject
) -> None:
    answer = lost(project(), *outcomes)
    assert answer["headers"]["Location"] == f"/admin/login/{NEXT}"
    assert SENTENCE not in answer["after"]


@pytest.mark.proof
def test_a_stranger_is_told_nothing_of_a_restore(project: MakeProject) -> None:
    made = project()
    lost(made, "applied")
    answer = made.ask("""
client = Client()
client.cookies["backups_seen"] = "2020-01-01T00:00:00+00:00"
answer = client.get("/backups/history/", follow=True).content.decode()
""")
    assert SENTENCE not in answer


@pytest.mark.parametrize("settings", [WITHOUT_ADMIN, WITHOUT_MESSAGES])
@pytest.mark.proof
def test_a_project_without_a_login_page_is_told_so(settings: str, project: MakeProject) -> None:
    answer = project(settings).ask("""
page = Client().get("/backups/")
part = Client().get("/backups/history/", headers={"HX-Request": "true"})
answer = [page.status_code, page.content.decode(), part.status_code, part["HX-Redirect"]]
""")
    assert answer[0] == 403
    assert "Set LOGIN_URL" in answer[1]
    assert answer[2:] == [204, "/backups/history/"]


@pytest.mark.proof
def test_a_project_without_users_is_told_what_is_missing(project: MakeProject) -> None:
    answer = project(WITHOUT_LOGINS).ask("""
client = Client()
pages = [client.get("/backups/"), client.get("/backups/restore/"),
         client.post("/backups/snapshots/store/")]
answer = [[page.status_code, page.content.decode()] for page in pages]
""")
    for status, text in answer:
        assert status == 403
        assert "Add django.contrib.auth" in text


@pytest.mark.proof
def test_a_database_that_is_no_file_keeps_nobody_from_the_login(project: MakeProject) -> None:
    settings = "SESSION_ENGINE = 'django.contrib.sessions.backends.signed_cookies'\n"
    answer = project(settings).ask("""
from django.http import HttpResponse
from django.conf import settings
from backups.page import login
client = Client()
response = HttpResponse()
login.remember_seen(response)
client.cookies = response.cookies
settings.DATABASES["default"]["NAME"] = ":memory:"
from django.db import connections
connections["default"].settings_dict["NAME"] = ":memory:"
answer = client.get("/backups/history/").headers["Location"]
""")
    assert answer == f"/admin/login/{NEXT}"


@pytest.mark.proof
def test_a_form_leads_to_no_other_host_since_the_policy_would_stop_it(
    project: MakeProject,
) -> None:
    """A browser would do nothing at all."""
    made = project("LOGIN_URL = 'https://sso.example.org/in'")
    form, page, part = made.ask("""
client = Client()
form = client.post("/backups/snapshots/store/")
page = client.get("/backups/snapshots/")
part = client.post("/backups/snapshots/store/", headers={"HX-Request": "true"})
answer = [[each.status_code, dict(each.headers), each.content.decode()]
          for each in (form, page, part)]
""")
    url = "https://sso.example.org/in?next=http%3A//testserver/backups/"
    assert form[0] == 200
    assert f'href="{url}"' in form[2]
    assert (page[0], page[1]["Location"]) == (303, f"{url}snapshots/")
    assert (part[0], part[1]["HX-Redirect"]) == (204, url)


@pytest.mark.parametrize("settings", ["", "CSRF_USE_SESSIONS = True"])
@pytest.mark.proof
def test_a_form_whose_token_has_ended_with_the_session_leads_to_the_login(
    settings: str, project: MakeProject
) -> None:
    stranger, known = project(settings).ask("""
client = Client(enforce_csrf_checks=True)
stranger = client.post("/backups/snapshots/store/")
staff()
from django.contrib.auth.models import User
client.force_login(User.objects.get())
known = client.post("/backups/snapshots/store/")
answer = [[stranger.status_code, stranger.headers.get("Location")], known.status_code]
""")
    assert stranger == [303, "/admin/login/?next=/backups/"]
    assert known == 403
