"""Which database a child connects to."""

import pytest
from pytest_django import Settings

from backups.site import child_database


def test_a_child_goes_past_a_pooler(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_database, "vendor_of", lambda _: "postgresql")
    entry = {"HOST": "pooler", "PORT": "6432", "USER": "site", "OPTIONS": {"pool": True}}
    monkeypatch.setitem(settings.DATABASES, "default", entry)
    settings.BACKUPS_POSTGRES_CONNECTION = {"host": "db", "port": 5432, "sslmode": "require"}
    child_database.point_at("default", "tasks_incoming_1")
    assert settings.DATABASES["default"] == {
        "NAME": "tasks_incoming_1",
        "HOST": "db",
        "PORT": 5432,
        "USER": "site",
        "OPTIONS": {"sslmode": "require"},
    }
