"""What the audit log tells of backups and restores, on real servers and by real commands."""

import sqlite3
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.backups.uploads import add_tasks, snapshot_of
from tests.site import Server, Site, task_names

pytestmark = pytest.mark.proof

RECORD = "from taskdog.audit.restores import record_restores; record_restores()"


@pytest.fixture
def good(template_site: Site, tmp_path: Path) -> Path:
    return snapshot_of(template_site, tmp_path / "good.db", "restored")


def upload(server: Server, snapshot: Path, query: str = "") -> dict[str, Any]:
    server.http.headers["Connection"] = "close"
    answer = server.api("POST", f"restore{query}", files={"file": snapshot.read_bytes()})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def rows(server: Server) -> list[dict[str, Any]]:
    """What the log tells of the database as a whole, oldest first."""
    answer = server.api("GET", "audit-logs?resource_type=database")
    found: list[dict[str, Any]] = answer.json()["logs"]
    return found[::-1]


def operations(database: Path) -> list[str]:
    """The same by SQL, without a server; the operations only."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT operation FROM audit_logs WHERE resource_type = 'database' ORDER BY id"
        )
        return [operation for (operation,) in found]


def in_transaction(database: Path) -> "closing[sqlite3.Connection]":
    """Another program that holds the write lock until it is closed."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return closing(connection)


def test_a_backup_is_told_with_its_size_and_its_name(site: Site) -> None:
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        taken = server.api("GET", "backup")
        (row,) = rows(server)
    assert (row["operation"], row["client_name"], row["success"]) == ("backup", "tester", True)
    assert row["new_values"] == {"size": len(taken.content), "method": "compact"}
    assert row["resource_name"] in taken.headers["Content-Disposition"]


def test_every_step_of_a_restore_is_told_by_the_name_of_who_did_it(site: Site, good: Path) -> None:
    with site.serving() as server:
        upload(server, good)
        server.api("DELETE", "restore").raise_for_status()
        applied = upload(server, good, "?apply=now")
        server.api("POST", "restore/undo").raise_for_status()
        told = rows(server)
    assert [row["operation"] for row in told] == [
        "restore_staged",
        "restore_discarded",
        "restore_staged",
        "restore_applied",
        "undo_staged",
    ], "also what had happened before the log was replaced"
    assert {row["client_name"] for row in told} == {"tester"}
    assert [row["new_values"]["receipt"] for row in told] == [
        receipt["id"] for receipt in site.receipts()
    ]
    assert all(row["success"] and row["error_message"] is None for row in told)
    assert told[3]["new_values"] == {
        "receipt": applied["id"],
        "size": good.stat().st_size,
        "sha256": applied["sha256"],
        "staged_by": "tester",
        "kept": applied["kept"],
    }
    assert told[4]["new_values"]["undoes"] == applied["kept"]


def test_what_a_start_has_applied_is_told_once_in_the_restored_log(site: Site, good: Path) -> None:
    with site.serving(TASKDOG_TIME_ZONE="Asia/Tokyo") as server:
        upload(server, good)
    for _ in range(2):
        with site.serving(TASKDOG_TIME_ZONE="Asia/Tokyo") as server:
            server.http.headers["Connection"] = "close"
            assert server.task_names() == ["restored"]
            staged, applied = rows(server)
    assert (staged["operation"], staged["client_name"]) == ("restore_staged", "tester")
    assert (applied["operation"], applied["client_name"]) == ("restore_applied", None)
    at = site.receipts()[-1]["at"]
    assert applied["timestamp"][14:19] == at[14:19], "the time of the receipt …"
    assert (int(applied["timestamp"][11:13]) - int(at[11:13])) % 24 == 9, "… as it is there"


def test_a_restore_that_failed_is_told_with_its_reason(site: Site, good: Path) -> None:
    with site.serving() as server:
        upload(server, good)
    (manifest,) = site.data.glob("tasks.db.pending-restore.*.json")
    manifest.unlink()
    with site.serving() as server:
        server.http.headers["Connection"] = "close"
        *_, refused = rows(server)
    assert (refused["operation"], refused["success"]) == ("restore_refused", False)
    assert "is not the file that was staged" in refused["error_message"]


def test_two_processes_that_see_the_same_gap_fill_it_once(site: Site, good: Path) -> None:
    assert site.manage("restore_db", str(good), "--yes").code == 0
    with closing(sqlite3.connect(site.database)) as connection:
        connection.execute("DELETE FROM audit_logs")
        connection.commit()
    code = f"""
import subprocess, sys
from taskdog.audit import restores
look = restores._missing
def look_and_let_another_be_first(receipts):
    missing = look(receipts)
    restores._missing = look
    subprocess.run([sys.executable, "manage.py", "shell", "-c", {RECORD!r}], check=True)
    return missing
restores._missing = look_and_let_another_be_first
restores.record_restores()
"""
    shell = site.manage("shell", "-c", code)
    assert shell.code == 0, shell.err
    # The first command of the shell was alone, so it has applied what was pending.
    assert sorted(operations(site.database)) == ["restore_applied", "restore_staged"]


SPOIL = {
    "no table": "DROP TABLE audit_logs",
    "no rows": "CREATE TRIGGER deaf BEFORE INSERT ON audit_logs"
    " BEGIN SELECT RAISE(ABORT, 'attempt to write a readonly database'); END",
}


@pytest.fixture(params=["locked", *SPOIL])
def deaf(request: pytest.FixtureRequest, site: Site) -> Any:
    """A site whose audit log takes no row, and what to hold while it is so."""
    add_tasks(site.database, "live")
    if request.param == "locked":
        return lambda: in_transaction(site.database)
    with closing(sqlite3.connect(site.database)) as connection:
        connection.execute(SPOIL[request.param])
    return nullcontext


def test_a_log_that_takes_no_row_stops_no_backup_no_restore_and_no_start(
    site: Site, good: Path, tmp_path: Path, deaf: Any
) -> None:
    with deaf():
        backup = site.manage("backup", "-o", str(tmp_path / "taken.db"))
        staged = site.manage("restore_db", str(good), "--yes")
        with site.serving() as server:
            assert server.http.get(f"{server.url}/health").status_code == 200
            log = "".join(server.log)
    for ended in (backup, staged):
        assert ended.code == 0, ended.err
        assert "WARNING" in ended.err
        assert "the audit log lacks" in ended.err
        assert "Traceback" not in ended.err
    assert task_names(tmp_path / "taken.db") == ["live"]
    assert "Traceback" not in log
    assert [receipt["outcome"] for receipt in site.receipts()][:1] == ["staged"]


def test_what_could_not_be_told_at_once_is_told_with_the_next(site: Site, good: Path) -> None:
    with in_transaction(site.database):
        assert site.manage("restore_db", str(good), "--yes").code == 0
    assert operations(site.database) == []
    assert site.manage("restore_db", "--discard", "--yes").code == 0
    assert operations(site.database) == ["restore_staged", "restore_discarded"]


def test_no_database_is_made_for_the_log_s_sake(site: Site, good: Path) -> None:
    site.database.unlink()
    assert site.manage("restore_db", str(good), "--yes").code == 0
    assert not site.database.exists()
