"""A site with people, served."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from tests.backups.page.project import Project
from tests.backups.page.visitor import Visitor, add_user
from tests.backups.uploads import add_tasks
from tests.site import Server, Site


@pytest.fixture
def site_with_staff(site: Site) -> Site:
    """Ann and bob are staff, carl is not. There is one task, "live"."""
    add_user(site.database, "ann")
    add_user(site.database, "bob")
    add_user(site.database, "carl", is_staff=False)
    add_tasks(site.database, "live")
    return site


@pytest.fixture
def served(site_with_staff: Site) -> Iterator[Server]:
    """That site."""
    with site_with_staff.serving() as running:
        running.http.headers["Connection"] = "close"
        yield running


@pytest.fixture
def ann(served: Server) -> Visitor:
    """Ann, who is logged in."""
    return Visitor(served, "ann")


@pytest.fixture
def ann_here(live: Site, settings: Settings) -> Client:
    """
    Ann, who is logged in to a site of this process. Her session is in her cookie: a restore by
    another test ends those that are in the data folder of all tests.
    """
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    add_user(live.database, "ann")
    client = Client()
    client.force_login(User.objects.get(username="ann"))
    return client


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a project in which nothing has happened yet."""
    folder = tmp_path_factory.mktemp("migrated")
    Project(folder).migrate()
    return folder / "db.sqlite3"


@pytest.fixture
def project(tmp_path: Path, migrated: Path) -> Callable[..., Project]:
    """Makes a project with that database. Called with what comes after its settings and URLs."""

    def make(settings: str = "", urls: str = "") -> Project:
        shutil.copy(migrated, tmp_path / "db.sqlite3")
        return Project(tmp_path, settings, urls)

    return make
