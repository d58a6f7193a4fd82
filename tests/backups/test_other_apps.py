"""The other apps while a command of ours works: they are made ready, as far as that ends."""

from collections.abc import Callable
from unittest import mock

import pytest
from django.apps import AppConfig, apps
from django.db import OperationalError, connection

from backups import other_apps, query_limit
from tests.backups.test_query_limit import ENDLESS, ask


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppConfig:
    """An app of the site, on whose ``ready`` nothing of these tests stays."""
    config = apps.get_app_config("contenttypes")
    monkeypatch.setattr(config, "ready", lambda: None)
    monkeypatch.setattr(query_limit, "SECONDS", 0.1)
    return config


def made_ready(app: AppConfig, ready: Callable[[], object]) -> None:
    with (
        mock.patch.object(app, "ready", ready),
        mock.patch.object(apps, "get_app_configs", return_value=[app]),
    ):
        other_apps.limit_ready()
        app.ready()


@pytest.mark.django_db
def test_query_that_never_ends_is_ended_and_told(
    app: AppConfig, caplog: pytest.LogCaptureFixture
) -> None:
    connection.ensure_connection()
    made_ready(app, lambda: ask(ENDLESS))
    assert "a query of the app contenttypes at its start was ended" in caplog.text
    assert "manage.py restore_db --undo" in caplog.text


def test_what_has_another_cause_fails_as_it_did(app: AppConfig) -> None:
    with pytest.raises(OperationalError, match="locked"):
        made_ready(app, mock.Mock(side_effect=OperationalError("database is locked")))


def test_each_of_the_others_is_made_ready_and_ours_is_left_alone(app: AppConfig) -> None:
    ready = mock.Mock()
    ours = apps.get_app_config("backups")
    before = ours.ready
    made_ready(app, ready)
    ready.assert_called_once_with()
    assert ours.ready == before
