from pathlib import Path

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings


def own_issues() -> list[CheckMessage]:
    """Run every check as ``manage.py check --deploy`` does, and keep this site's."""
    found = run_checks(include_deployment_checks=True)
    return [issue for issue in found if str(issue.id).startswith("taskdog.")]


def ids(issues: list[CheckMessage]) -> list[str | None]:
    assert all(issue.hint for issue in issues)
    return [issue.id for issue in issues]


def test_the_site_as_it_is_has_no_issue() -> None:
    assert own_issues() == []


def test_transactions_that_do_not_lock_at_once_are_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settings.DATABASES["default"]["OPTIONS"]
    monkeypatch.setitem(options, "transaction_mode", "DEFERRED")
    assert ids(own_issues()) == ["taskdog.E001"]


def test_transactions_may_be_set_in_any_case(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = settings.DATABASES["default"]["OPTIONS"]
    monkeypatch.setitem(options, "transaction_mode", "immediate")
    assert own_issues() == []


def test_times_with_an_offset_are_an_error(settings: Settings) -> None:
    settings.USE_TZ = True
    assert ids(own_issues()) == ["taskdog.E002"]


def test_authentication_switched_off_is_a_warning(settings: Settings) -> None:
    settings.TASKDOG_AUTH_ENABLED = False
    assert ids(own_issues()) == ["taskdog.W001"]


@pytest.mark.parametrize(
    ("mode", "wanted"), [(0o770, []), (0o755, ["taskdog.W060"]), (0o701, ["taskdog.W060"])]
)
def test_open_data_folder_is_a_warning(
    mode: int, wanted: list[str], settings: Settings, tmp_path: Path
) -> None:
    settings.TASKDOG_DATA_DIR = tmp_path
    tmp_path.chmod(mode)
    assert ids(own_issues()) == wanted
