import re
from pathlib import Path

import pytest
from django.db import connection

from tests.processes import run_manage, run_python

pytestmark = pytest.mark.proof  # each test starts processes of the whole site

SET_UP = """
import taskdog, django, os, sqlite3
os.environ["DJANGO_SETTINGS_MODULE"] = "taskdog.settings"
django.setup()
from django.db import connection, transaction
"""
PRINT_PRAGMAS = (
    SET_UP
    + """
def ask(name):
    with connection.cursor() as cursor:
        return cursor.execute(f"PRAGMA {name}").fetchone()[0]
print(*[ask(n) for n in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")])
"""
)
COMPETE = (
    SET_UP
    + """
with transaction.atomic():
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        print(error)
    other.close()
"""
)


TOLD = {"TASKDOG_BACKUP_MAIL": "ops@example.org"}  # when a backup fails


def test_the_deployment_check_warns_if_nobody_is_told_of_a_failed_backup(tmp_path: Path) -> None:
    variables = {"TASKDOG_HTTPS": "1", "TASKDOG_BACKUP_SCHEDULE": "0 3 * * *"}
    _, err, code = run_manage("check", "--deploy", data_dir=tmp_path, **variables)
    assert code == 0
    assert re.findall(r"\(([a-z_]+\.[EW]\d+)\)", err) == ["backups.W080"]
    assert "manage.py backups notify --test" in err


def test_without_tls_the_deployment_check_warns_of_tls_only(tmp_path: Path) -> None:
    _, err, code = run_manage("check", "--deploy", data_dir=tmp_path, **TOLD)
    assert code == 0
    assert re.findall(r"\(([a-z_]+\.[EW]\d+)\)", err) == [
        "security.W004",
        "security.W008",
        "security.W012",
        "security.W016",
    ]


def test_with_tls_the_deployment_check_finds_nothing(tmp_path: Path) -> None:
    variables = TOLD | {"TASKDOG_HTTPS": "1", "TASKDOG_LOG_LEVEL": "WARNING"}
    out, err, code = run_manage("check", "--deploy", data_dir=tmp_path, **variables)
    assert (out, err, code) == ("System check identified no issues (0 silenced).\n", "", 0)


def test_migrations_are_complete(tmp_path: Path) -> None:
    arguments = ["makemigrations", "--check", "--dry-run", "tasks", "audit"]
    out, err, code = run_manage(*arguments, data_dir=tmp_path)
    assert code == 0, out + err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASKDOG_AUTH_ENABLED", "nope"),
        ("TASKDOG_DEBUG", "2"),
        ("TASKDOG_HTTPS", "maybe"),
        ("TASKDOG_LOG_FORMAT", "xml"),
        ("TASKDOG_LOG_LEVEL", "LOUD"),
        ("TASKDOG_KEPT_COPIES", "-1"),
        ("TASKDOG_KEPT_DAYS", "a week"),
        ("TASKDOG_LIVE_SECONDS", "0"),
        ("TASKDOG_MAX_UPLOAD_BYTES", "10GB"),
        ("TASKDOG_TIME_ZONE", "Mars/Olympus"),
    ],
)
def test_a_setting_that_cannot_be_understood_stops_the_start(
    variable: str, value: str, tmp_path: Path
) -> None:
    _, err, code = run_python(
        "-c", "import taskdog.settings", data_dir=tmp_path, **{variable: value}
    )
    assert code == 1
    assert f"ImproperlyConfigured: {variable} is '{value}'" in err


def test_a_malformed_key_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "api_keys.json").write_text("{")
    (tmp_path / "api_keys.json").chmod(0o600)
    _, err, code = run_manage("check", data_dir=tmp_path)
    assert code == 1
    assert f"The API key file {tmp_path / 'api_keys.json'} is not usable: it is not JSON" in err
    assert (tmp_path / "api_keys.json").read_text() == "{"


def test_the_database_is_opened_for_many_readers_and_a_waiting_writer(tmp_path: Path) -> None:
    out, err, code = run_python("-c", PRINT_PRAGMAS, data_dir=tmp_path)
    assert (out, code) == ("wal 1 1 30000\n", 0), err


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["tasks", "tags", "audit_logs", "task_dependencies"])
def test_ids_are_never_given_twice(table: str) -> None:
    asked, said = {
        "sqlite": ("sql FROM sqlite_master WHERE name = %s", "AUTOINCREMENT"),
        "postgresql": ("pg_get_serial_sequence(%s, 'id')", f"public.{table}_id_seq"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {asked}", [table])
        assert said in cursor.fetchone()[0]


def test_a_transaction_takes_the_write_lock_when_it_begins(tmp_path: Path) -> None:
    out, err, code = run_python("-c", COMPETE, data_dir=tmp_path)
    assert (out, code) == ("database is locked\n", 0), err
