"""What several tests of the app itself want."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker, Settings

from backups import services
from tests.site import Site


@pytest.fixture
def keys_file(settings: Settings, tmp_path: Path) -> Path:
    """Point the site to a key file that does not exist yet, in a folder of its own."""
    folder = tmp_path / "keys"
    folder.mkdir()
    settings.BACKUPS_KEY_FILE = folder / "api_keys.json"
    return folder / "api_keys.json"


@pytest.fixture
def live(
    site: Site, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    """A site whose file is this process's live database."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", site.database)
    with django_db_blocker.unblock():
        connections["default"].close()  # an earlier test may have left one to another file
        yield site
        services.release_presence()
        connections["default"].close()
