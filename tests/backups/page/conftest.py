"""A site with people, served."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

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
