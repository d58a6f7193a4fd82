"""Where the rows are, as TASKDOG_DATABASE_URL says."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from taskdog import databases

FILE = Path("/srv/taskdog/tasks.db")


def test_without_a_url_it_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for blank in ("", "  "):
        monkeypatch.setenv(databases.VARIABLE, blank)
        entry = databases.default(FILE)
        assert (entry["ENGINE"], entry["NAME"]) == ("django.db.backends.sqlite3", FILE)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_url_names_a_postgresql_database(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    url = f"{scheme}://ann:p%40ss@db.example.org:5433/tasks?sslmode=require&connect_timeout=3"
    monkeypatch.setenv(databases.VARIABLE, url)
    entry = databases.default(FILE)
    assert entry["ENGINE"] == "django.db.backends.postgresql"
    assert (entry["USER"], entry["PASSWORD"], entry["NAME"]) == ("ann", "p@ss", "tasks")
    assert (entry["HOST"], entry["PORT"]) == ("db.example.org", 5433)
    assert entry["OPTIONS"] == {
        "application_name": "taskdog",
        "connect_timeout": 3,
        "sslmode": "require",
    }
    assert entry["CONN_HEALTH_CHECKS"] is True


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://ann:secret@db/tasks", "must begin with postgres://"),
        ("/srv/tasks.db", "must begin with postgres://"),
        ("postgres://ann:secret@db", "names no database"),
        ("postgres://ann:secret@db/", "names no database"),
        ("postgres://ann:secret@db/tasks/", "more than the name of a database"),
        ("postgres://ann:secret#x@db/tasks", "can't be read"),
        ("postgres://ann:secret@db:port/tasks", "can't be read"),
        ("postgres://ann:secret@db/tasks?colour=red", 'invalid connection option "colour"'),
    ],
)
def test_one_that_can_not_be_used_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str, reason: str
) -> None:
    monkeypatch.setenv(databases.VARIABLE, url)
    with pytest.raises(ImproperlyConfigured) as refused:
        databases.default(FILE)
    assert reason in str(refused.value)
    assert databases.VARIABLE in str(refused.value)
    assert databases.LIKE in str(refused.value)
    error: BaseException | None = refused.value
    while error is not None:  # a traceback shows them all
        assert "secret" not in str(error)
        error = None if error.__suppress_context__ else error.__context__


def test_backups_can_go_past_a_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(databases.DIRECT, raising=False)
    assert databases.direct() == {}
    monkeypatch.setenv(databases.DIRECT, "db.example.org:5432")
    assert databases.direct() == {"host": "db.example.org", "port": "5432"}
    for wrong in ("db.example.org", ":5432", "db.example.org:", "db.example.org:https"):
        monkeypatch.setenv(databases.DIRECT, wrong)
        with pytest.raises(ImproperlyConfigured, match=r"it must be like db\.example\.org:5432"):
            databases.direct()
