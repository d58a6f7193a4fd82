"""The pages of an installed package, in projects that follow docs/page.md."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.package.environments import Environment
from tests.package.projects import SECONDS, Project, Served, install
from tests.package.readme import Lines, read_lines
from tests.processes import Finished

pytestmark = pytest.mark.package

NAME, PASSWORD = "ann", "correct horse"
WITHOUT_ADMIN = """
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "django.contrib.admin"]
LOGIN_URL = "rest_framework:login"
"""
ADMIN = "path('admin/', admin.site.urls),"
URLS_WITHOUT_ADMIN = """
urlpatterns += [path("api-auth/", include("rest_framework.urls"))]
"""
# In DEBUG, as a new project is, no static file is served by gunicorn.
STATIC = """
from django.contrib.staticfiles.urls import staticfiles_urlpatterns

urlpatterns += staticfiles_urlpatterns()
"""
CSP_OF_DJANGO = """
import django

if django.VERSION >= (6,):
    MIDDLEWARE = ["django.middleware.csp.ContentSecurityPolicyMiddleware", *MIDDLEWARE]
    SECURE_CSP = {"default-src": ["'self'"]}
"""
CSP_OF_ANOTHER = """
INSTALLED_APPS += ["csp"]
MIDDLEWARE = ["csp.middleware.CSPMiddleware", *MIDDLEWARE]
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": ["'self'"]}}
"""


@pytest.fixture(scope="session")
def lines() -> Lines:
    return read_lines("docs/page.md", "## Install")


@pytest.fixture(scope="session")
def with_page(template: Project, lines: Lines) -> Environment:
    """The environment, with the extra of the page installed as the page says."""
    environment = template.environment
    before = environment.packages()
    install(environment, lines, environment.bin)
    assert environment.packages() - before == {"django-htmx"}
    environment.run(environment.bin, "pip", "install", "--quiet", "django-csp")
    return environment


@pytest.fixture
def project(template: Project, with_page: Environment, lines: Lines, tmp_path: Path) -> Project:
    """A project that follows the page, with one person of its staff."""
    made = template.copy(tmp_path / "project")
    made.follow(lines)
    made.append("urls.py", STATIC)
    made.manage("check", "--database", "default")
    made.manage(
        *("createsuperuser", "--noinput", "--username", NAME, "--email", "ann@example.org"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    return made


@pytest.fixture
def person() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def log_in(person: requests.Session, served: Served) -> requests.Response:
    """Ask for a page, which leads to the login and back; returns the page."""
    login = person.get(f"{served.url}/backups/snapshots/", timeout=SECONDS)
    assert "next=/backups/snapshots/" in login.url
    return person.post(
        login.url,
        {
            "username": NAME,
            "password": PASSWORD,
            "next": "/backups/snapshots/",
            "csrfmiddlewaretoken": person.cookies["csrftoken"],
        },
        headers={"Referer": login.url},
        timeout=SECONDS,
    )


def try_pages(project: Project, person: requests.Session) -> None:
    """Log in, see every page and what it is made of, and take a backup."""
    with project.serving("gunicorn") as served:
        assert log_in(person, served).url == f"{served.url}/backups/snapshots/"
        for path in ("", "snapshots/", "restore/", "history/"):
            page = person.get(f"{served.url}/backups/{path}", timeout=SECONDS)
            assert page.status_code == 200
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script")
        for part in ("backups/page.css", "backups/page.js", "django_htmx/htmx-2.min.js"):
            assert f'"/static/{part}"' in page.text
            assert person.get(f"{served.url}/static/{part}", timeout=SECONDS).ok
        job = person.post(
            f"{served.url}/backups/snapshots/store/",
            {"csrfmiddlewaretoken": person.cookies["csrftoken"]},
            timeout=SECONDS,
        )
        assert job.ok
        assert "/backups/jobs/" in job.url


def warnings(said: Finished) -> set[str]:
    """Those of the page, among what `check` says."""
    numbers = ("E120", "E121", "W122", "W123", "W124", "W125")
    return {number for number in numbers if f"backups.{number}" in said.err}


def test_a_new_project_has_the_pages_beside_the_admin(
    project: Project, person: requests.Session
) -> None:
    assert warnings(project.manage("check")) == set()
    try_pages(project, person)
    with project.serving("gunicorn") as served:
        index = person.get(f"{served.url}/admin/", timeout=SECONDS).text
        assert 'href="/backups/snapshots/"' in index


def test_a_project_without_the_admin_has_them_too(
    project: Project, person: requests.Session
) -> None:
    project.append("settings.py", WITHOUT_ADMIN)
    urls = project.folder / "mysite/urls.py"
    assert ADMIN in urls.read_text()
    urls.write_text(urls.read_text().replace(ADMIN, "") + URLS_WITHOUT_ADMIN)
    assert warnings(project.manage("check")) == set()
    try_pages(project, person)


def test_a_project_that_forgets_the_scripts_is_warned(project: Project) -> None:
    project.append("settings.py", "\nINSTALLED_APPS.remove('django_htmx')\n")
    assert warnings(project.manage("check")) == {"W124"}


@pytest.mark.parametrize("settings", [CSP_OF_DJANGO, CSP_OF_ANOTHER], ids=["Django", "django-csp"])
def test_a_policy_of_the_project_leaves_the_one_of_the_pages(
    settings: str, project: Project, person: requests.Session
) -> None:
    project.append("settings.py", settings)
    try_pages(project, person)
    with project.serving("gunicorn") as served:
        policy = person.get(f"{served.url}/groups", timeout=SECONDS).headers
        if "SECURE_CSP" not in settings or project.environment.pair.django >= "6":
            assert policy["Content-Security-Policy"] == "default-src 'self'"
