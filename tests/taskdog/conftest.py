"""A key file of its own for every test, and clients that hold keys from it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from backups.keys.api_keys import create_key

ClientFactory = Callable[..., APIClient]


@pytest.fixture(autouse=True)
def keys_file(settings: Settings, tmp_path: Path) -> Path:
    """Point the site to a key file that does not exist yet."""
    path = tmp_path / "api_keys.json"
    settings.BACKUPS_KEY_FILE = path
    return path


@pytest.fixture
def client_with(keys_file: Path) -> ClientFactory:
    """Make clients that hold a new key with some scopes."""

    def make(*scopes: str, name: str = "tester") -> APIClient:
        key = create_key(keys_file, name=name, scopes=scopes or None)
        return APIClient(headers={"X-Api-Key": key})

    return make


@pytest.fixture
def api(client_with: ClientFactory, db: None) -> APIClient:
    """Speak to the tasks API with a key named ``tester``."""
    return client_with("tasks")
