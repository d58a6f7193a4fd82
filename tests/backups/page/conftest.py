"""A site with people, served."""

from collections.abc import Iterator

import pytest

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
