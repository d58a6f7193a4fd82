"""Who keeps logins in the database is told, and nobody else."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage
from django.db import connections, models
from django.test import override_settings
from django.test.utils import isolate_apps
from pytest_django import Settings

from backups.checks.sessions import check_sessions

BACKENDS = "django.contrib.sessions.backends"
TABLE = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "seen"},
}


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of the settings, in a file: other tests may have one in memory."""
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", tmp_path / "tasks.db")


class SessionStore(db.SessionStore):
    """A site's own engine, made of Django's."""


class Renamed(SessionMiddleware):
    """A site's own middleware, made of Django's."""


@pytest.mark.parametrize("engine", [f"{BACKENDS}.db", f"{BACKENDS}.cached_db", __name__])
@pytest.mark.parametrize(
    ("clears", "advice"), [(True, "take compact snapshots"), (False, "BACKUPS_CLEAR_SESSIONS")]
)
def test_engine_that_keeps_logins_in_the_database_is_named_with_what_helps(
    engine: str, clears: bool, advice: str, settings: Settings
) -> None:
    settings.SESSION_ENGINE = engine
    settings.BACKUPS_CLEAR_SESSIONS = clears
    (message,) = check_sessions()
    assert (message.id, message.is_serious()) == ("backups.W055", False)
    assert f"SESSION_ENGINE is '{engine}'" in message.msg
    assert "table django_session of the database 'default'" in message.msg
    assert message.hint is not None
    for words in ("backends.file", "signed cookies", "cache", advice):
        assert words in message.hint


@override_settings(SESSION_ENGINE=f"{BACKENDS}.cache", CACHES=TABLE)
def test_cache_that_is_a_table_is_a_database_too() -> None:
    (message,) = check_sessions()
    assert "table seen of the database 'default'" in message.msg


def test_engine_is_known_by_the_model_in_its_module(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As django-user-sessions has it, whose model is not one of Django's sessions."""
    with isolate_apps("tests"):

        class UserSession(models.Model):  # noqa: DJ008
            session_key = models.CharField(max_length=40, primary_key=True)
            session_data = models.TextField()
            expire_date = models.DateTimeField()
            user = models.ForeignKey(User, models.CASCADE, null=True)

            class Meta:
                app_label = "tests"

    bases: tuple[type, ...] = ()
    for name in ("user_engine", "made_of_it"):
        engine: Any = ModuleType(name)
        engine.SessionStore = type("SessionStore", bases, {"__module__": name})
        if not bases:
            engine.Session = UserSession
        bases = (engine.SessionStore,)
        monkeypatch.setitem(sys.modules, name, engine)
        settings.SESSION_ENGINE = name
        (message,) = check_sessions()
        assert "table tests_usersession of" in message.msg


def nothing() -> list[CheckMessage]:
    return []


@pytest.mark.parametrize(
    "changes",
    [
        {"SESSION_ENGINE": f"{BACKENDS}.file"},
        {"SESSION_ENGINE": f"{BACKENDS}.cache"},
        {"SESSION_ENGINE": f"{BACKENDS}.signed_cookies"},
        {"SESSION_ENGINE": "an.engine.that.is.gone"},
        {"SESSION_ENGINE": f"{BACKENDS}.cache", "SESSION_CACHE_ALIAS": "none such"},
        {"MIDDLEWARE": []},
        {"DATABASE_ROUTERS": [f"{__name__}.Elsewhere"]},
    ],
    ids=str,
)
def test_who_has_no_logins_in_a_snapshot_is_told_nothing(changes: dict[str, Any]) -> None:
    with override_settings(**{"SESSION_ENGINE": f"{BACKENDS}.db"} | changes):
        assert check_sessions() == []


class Elsewhere:
    """Sessions are in a database that no snapshot can be taken of."""

    def db_for_write(self, model: object, **_: object) -> str | None:
        """One without a file."""
        return "memory" if getattr(model, "__name__", "") == "Session" else None


@override_settings(
    SESSION_ENGINE=f"{BACKENDS}.db",
    MIDDLEWARE=["no.such.Middleware", f"{__name__}.Renamed", f"{__name__}.nothing"],
)
def test_middleware_that_is_made_of_django_s_counts() -> None:
    assert len(check_sessions()) == 1


def test_site_as_it_is_passes() -> None:
    assert check_sessions() == []
