from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from backups.checks.schedule import check_schedule

WRONG: list[tuple[str, Any, str]] = [
    *(("SCHEDULE", value, "E090") for value in ("daily", "0 3 * *", "0 3 30 2 *", None, 3)),
    *(("SCHEDULE_JITTER", value, "E091") for value in (-1, "60", None, True, float("inf"), 1e9)),
    *(("VERIFY", value, "E092") for value in ("", "Daily", True, None)),
    *(("BEFORE_MIGRATE", value, "E093") for value in (1, "yes", None)),
]


def ids() -> list[str | None]:
    return [each.id for each in check_schedule()]


@pytest.mark.parametrize(("name", "value", "number"), WRONG)
def test_a_wrong_value_is_reported_with_a_hint(
    settings: Settings, name: str, value: Any, number: str
) -> None:
    setattr(settings, f"BACKUPS_{name}", value)
    [found] = check_schedule()
    assert found.id == f"backups.{number}"
    assert found.hint


def test_good_values_and_none_are_fine(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", str(tmp_path / "tasks.db"))
    assert ids() == []
    settings.BACKUPS_SCHEDULE = "@daily"
    settings.BACKUPS_SCHEDULE_JITTER = 600
    settings.BACKUPS_VERIFY = "always"
    settings.BACKUPS_BEFORE_MIGRATE = True
    assert ids() == []


def test_the_error_says_what_is_wrong_with_an_expression(settings: Settings) -> None:
    settings.BACKUPS_SCHEDULE = "0 25 * * *"
    [found] = check_schedule()
    assert "Bad hour" in found.msg
    assert "'0 3 * * *' is every day at 3:00" in (found.hint or "")


def test_a_database_that_is_no_file_is_warned_of(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", ":memory:")
    settings.BACKUPS_SCHEDULE = "0 3 * * *"
    settings.BACKUPS_BEFORE_MIGRATE = True
    assert ids() == ["backups.W094", "backups.W095"]
