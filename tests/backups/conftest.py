"""What several tests of the app itself want."""

from collections.abc import Iterator

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from backups import services
from tests.site import Site


@pytest.fixture
def live(
    site: Site, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    """A site whose file is this process's live database."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", site.database)
    with django_db_blocker.unblock():
        yield site
        services.release_presence()
        connections["default"].close()
