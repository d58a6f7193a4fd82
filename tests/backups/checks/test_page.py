"""What the pages need is missed before anybody opens them, and only where there are pages."""

from pathlib import Path

import pytest
from django.test import override_settings

from backups.checks.page import check_page
from tests.backups.page.project import (
    WITHOUT_ADMIN,
    WITHOUT_LOGINS,
    WITHOUT_MESSAGES,
    Project,
)

ASK = """
from django.core.checks import run_checks

found = [each for each in run_checks() if each.id.startswith("backups.")]
answer = {each.id.partition(".")[2]: [each.msg, each.hint] for each in found}
answer = {id: words for id, words in answer.items() if id in KNOWN}
"""
KNOWN = ("E120", "E121", "W122", "W123", "W124", "W125")
LOADERS = """
TEMPLATES[0]["APP_DIRS"] = False
TEMPLATES[0]["OPTIONS"]["loaders"] = [
    "django.template.loaders.filesystem.Loader",
    "django.template.loaders.app_directories.Loader",
]
"""
JINJA = """
TEMPLATES = [{"BACKEND": "django.template.backends.dummy.TemplateStrings", "APP_DIRS": True}]
"""
NO_APP_DIRS = "TEMPLATES[0]['APP_DIRS'] = False"
OWN_MIDDLEWARE = """
MIDDLEWARE[0] = "own.SessionMiddleware"
MIDDLEWARE[2] = "own.Csrf"
"""
OWN = """
from django.middleware.csrf import CsrfViewMiddleware


def SessionMiddleware(get_response):
    return get_response


class Csrf(CsrfViewMiddleware):
    pass
"""


def without(app: str) -> str:
    return f"INSTALLED_APPS.remove({app!r})"


def without_middleware(name: str) -> str:
    return f"MIDDLEWARE = [each for each in MIDDLEWARE if {name!r} not in each]"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", {}),
        (LOADERS, {}),
        (OWN_MIDDLEWARE, {}),
        (without("django_htmx"), {"W124": "pip install 'django-restorable[page]'"}),
        (without("django.contrib.staticfiles"), {"W125": "static"}),
        (WITHOUT_ADMIN, {"W123": "LOGIN_URL"}),
        (f"{WITHOUT_ADMIN}\nLOGIN_URL = 'https://sso.example.org/'", {}),
        (WITHOUT_MESSAGES, {"W123": "rest_framework.urls"}),
        (WITHOUT_LOGINS, {"E121": "django.contrib.auth"}),
        (without_middleware("Session"), {"W122": "sessions.middleware.SessionMiddleware'"}),
        (without_middleware("Csrf"), {"W122": "CsrfViewMiddleware'"}),
        (without_middleware("Authentication"), {"W122": "AuthenticationMiddleware'"}),
        (f"{WITHOUT_ADMIN}{JINJA}", {"E120": "APP_DIRS", "W123": ""}),
        (f"{WITHOUT_ADMIN}{NO_APP_DIRS}", {"E120": "app_directories", "W123": ""}),
    ],
)
@pytest.mark.proof
def test_each_thing_that_is_missing_is_named(
    settings: str, expected: dict[str, str], tmp_path: Path
) -> None:
    made = Project(tmp_path, settings)
    made.write("own.py", OWN)
    found = made.ask(f"KNOWN = {KNOWN!r}\n{ASK}")
    assert set(found) == set(expected)
    for number, words in expected.items():
        assert found[number][1]
        assert words in " ".join(found[number])


@pytest.mark.proof
def test_an_older_django_htmx_is_named_and_breaks_no_page(tmp_path: Path) -> None:
    made = Project(tmp_path)
    old = "import django_htmx.jinja\ndjango_htmx.jinja.htmx_script = lambda *, minified=True: ''"
    found = made.ask(f"{old}\nKNOWN = {KNOWN!r}\n{ASK}")
    assert "older than 1.29" in found["W124"][0]
    text = made.ask(f"""
{old}
from django.template import engines
page = engines["django"].from_string("{{% load backups_page %}}{{% page_scripts %}}")
answer = page.render({{"csp_nonce": "n"}})
""")
    assert text == '<script src="/static/backups/page.js" defer nonce="n"></script>'


def test_who_does_not_include_the_pages_is_told_nothing(tmp_path: Path) -> None:
    made = Project(tmp_path, WITHOUT_LOGINS, "del urlpatterns[1]")
    assert made.ask(f"KNOWN = {KNOWN!r}\n{ASK}") == {}


@pytest.mark.parametrize("urls", ["raise RuntimeError('of a test')", "import no_such_module"])
@pytest.mark.proof
def test_urls_that_can_t_be_imported_are_left_to_django(urls: str, tmp_path: Path) -> None:
    made = Project(tmp_path, urls=urls)
    assert made.ask("from backups.checks.page import check_page\nanswer = check_page()") == []


@pytest.mark.proof
def test_the_urls_are_imported_by_the_checks_of_urls_alone(tmp_path: Path) -> None:
    made = Project(tmp_path)
    script = """
import sys
from django.core.checks import run_checks
from django.core.checks.registry import registry

tags = registry.tags_available()
run_checks(tags=tags - {"urls"})
before = "urls" in sys.modules
run_checks(tags=["urls"])
answer = [before, "urls" in sys.modules]
"""
    assert made.ask(script) == [False, True]


@override_settings(ROOT_URLCONF=None)
def test_a_project_without_urls_is_told_nothing() -> None:
    assert check_page() == []


def test_site_as_it_is_passes() -> None:
    assert check_page() == []
