"""
A whole site on PostgreSQL: gunicorn, its commands and its archive, as an operator uses them.

And the way there, from a site on SQLite.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backups.waiting import until
from tests.postgres.server import Server as Postgres
from tests.postgres.sites import another_machine, database_name, make_site
from tests.site import Server, Site
from tests.site import make_site as make_sqlite_site

pytestmark = pytest.mark.postgres

DUMP = {"Content-Type": "application/octet-stream"}
RUN_OF_TESTS = """
from django.db import connection
name = connection.settings_dict["NAME"]
connection.creation.create_test_db(verbosity=0)
connection.ensure_connection()
connection.creation.destroy_test_db(name, verbosity=0)
"""
# What a person would compare: each table with all its rows, whatever the database is.
ARCHIVE = "tasks.db.backups"  # where the tests let a site store its snapshots
TABLES = ("tasks", "notes", "tags", "task_tags", "task_dependencies", "audit_logs", "auth_user")


@pytest.fixture
def site(postgres: Postgres, tmp_path: Path) -> Iterator[Site]:
    made = make_site(postgres, tmp_path / "machine")
    yield made
    stem = database_name(made)
    found = postgres.admin(f"SELECT datname FROM pg_database WHERE datname LIKE '{stem}%'")
    for (name,) in found:
        postgres.admin(f'DROP DATABASE "{name}" WITH (FORCE)')


def download(server: Server) -> bytes:
    answer = server.api("GET", "backup")
    assert answer.status_code == 200, answer.text
    assert re.search(r"taskdog-backup-\d{8}-\d{6}\.dump", answer.headers["Content-Disposition"])
    assert len(answer.content) == int(answer.headers["Snapshot-Size"])
    return answer.content


def restore(server: Server, content: bytes, **query: str) -> dict[str, Any]:
    answer = server.api("POST", "restore", data=content, headers=DUMP, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def rows_of(server: Server) -> dict[str, Any]:
    """All that the API tells of the tasks, and their audit log."""
    tasks = server.api("GET", "tasks", params={"all": "true"}).json()["tasks"]
    details = [server.api("GET", f"tasks/{task['id']}").json() for task in tasks]
    notes = [server.api("GET", f"tasks/{task['id']}/notes").text for task in tasks]
    log = server.api("GET", "audit-logs", params={"limit": "1000"}).json()
    return {"tasks": tasks, "details": details, "notes": notes, "log": log}


def ask(postgres: Postgres, site: Site, statement: str) -> list[tuple[Any, ...]]:
    return postgres.admin(statement, database_name(site))


def names_in(postgres: Postgres, site: Site) -> list[str]:
    return [name for (name,) in ask(postgres, site, "SELECT name FROM tasks ORDER BY id")]


def fill(server: Server) -> None:
    """Tasks with all that a task can have."""
    for number in range(1, 8):
        task = {
            "name": f"Übung {number} ☃ 'quoted' \\ %s",
            "priority": number,
            "deadline": f"2027-10-31T02:{number:02}:00",  # a time that comes twice
            "estimated_duration": number / 7,
            "tags": [f"tag {number % 3}", "all"],
        }
        answer = server.api("POST", "tasks", json=task)
        assert answer.status_code == 201, answer.text
        note = {"content": f"# {number}\n" * number}
        assert server.api("PUT", f"tasks/{number}/notes", json=note).ok
    for number in range(2, 8):
        body = {"depends_on_id": number - 1}
        assert server.api("POST", f"tasks/{number}/dependencies", json=body).ok
    assert server.api("DELETE", "tasks/7").ok


def test_a_restore_is_applied_when_the_site_starts_again(site: Site) -> None:
    with site.serving() as server:
        fill(server)
        before, content = rows_of(server), download(server)
        server.add_task("after it")
        body = restore(server, content)
        assert (body["status"], body["message"]) == ("pending", "restart required")
        assert "after it" in server.task_names()
    with site.serving() as server:
        assert "restore applied" in "".join(server.log)
        assert rows_of(server)["tasks"] == before["tasks"]
        last = server.api("GET", "restore").json()["last"]
        assert last["outcome"] == "applied"
        assert last["kept"].startswith(f"{database_name(site)}_pre_restore_")
        server.add_task("goes on")  # the numbers of new rows too
    undone = site.manage("restore_db", "--undo", "--yes")
    assert undone.code == 0, undone.err
    assert "SHA-256" not in undone.out + site.manage("restore_db", "--status").out
    with site.serving() as server:
        assert "after it" in server.task_names()


def test_a_restore_without_a_database_before_names_no_kept_one(
    postgres: Postgres, site: Site, tmp_path: Path
) -> None:
    snapshot = tmp_path / "move.db"
    assert site.manage("backup", "-o", str(snapshot)).code == 0
    postgres.admin(f'DROP DATABASE "{database_name(site)}" WITH (FORCE)')
    done = site.manage("restore_db", str(snapshot), "--now", "--yes")
    assert done.code == 0, done.err
    assert "There was no database before, so nothing was replaced." in done.out
    assert "None" not in done.out


def test_a_restore_while_two_machines_serve_reaches_both(site: Site, tmp_path: Path) -> None:
    other_site = another_machine(site, tmp_path / "other")
    with site.serving() as server, other_site.serving() as other:
        server.add_task("kept")
        content = download(other)
        server.add_task("too late")
        body = restore(server, content, apply="now")
        assert body["status"] == "applied"
        until(lambda: other.task_names() == ["kept"])
        assert server.task_names() == ["kept"]
        other.add_task("new")
        assert server.task_names() == ["kept", "new"]


def test_a_machine_that_starts_waits_for_the_other_to_end(site: Site, tmp_path: Path) -> None:
    other_site = another_machine(site, tmp_path / "other")
    with site.serving() as server:
        server.add_task("kept")
        content = download(server)
        server.add_task("too late")
        restore(server, content)
        with other_site.serving() as other:
            assert re.search("restore still pending.*in use by gunicorn", "".join(other.log))
            assert other.task_names() == ["kept", "too late"]
        status = site.manage("restore_db", "--status")
        assert "gunicorn" in status.out
    with other_site.serving() as other:
        assert "restore applied" in "".join(other.log)
        assert other.task_names() == ["kept"]


def test_a_backup_is_stored_verified_and_put_back_from_the_archive(
    postgres: Postgres, site: Site
) -> None:
    with site.serving() as server:
        server.add_task("stored")
    assert site.manage("backup", "--store").code == 0
    name = re.search(r"\S+\.dump\.zst", site.manage("backups", "list", "--json").out)
    assert name is not None
    verified = site.manage("backups", "verify", "latest")
    assert "restorable" in verified.out, verified.err
    with site.serving() as server:
        server.add_task("too late")
    done = site.manage("restore_db", "--from", "latest", "--now", "--yes")
    assert done.code == 0, done.err
    assert names_in(postgres, site) == ["stored"]


def test_health_metrics_and_pages_know_it(site: Site) -> None:
    assert site.manage("backup", "--store").code == 0
    with site.serving() as server:
        health = server.http.get(f"{server.url}/health/backups")
        assert health.status_code == 200, health.text
        metrics = server.api("GET", "metrics").text
        assert "backups_last_success_timestamp_seconds" in metrics
        status = server.api("GET", "restore").json()
        assert status["in_use_by"]


def test_a_check_says_what_a_restore_will_lack(postgres: Postgres, site: Site) -> None:
    ready = site.manage("check", "--database", "default")
    assert "W143" not in ready.err
    postgres.admin(f"ALTER DATABASE {database_name(site)} OWNER TO postgres")
    warned = site.manage("check", "--database", "default")
    assert warned.code == 0
    assert "backups.W143" in warned.err
    assert f"does not own the database {database_name(site)}" in warned.err


def test_a_file_of_the_other_kind_is_refused_by_a_site_on_sqlite(
    site: Site, tmp_path: Path
) -> None:
    with site.serving() as server:
        content = download(server)
    (tmp_path / "pg.dump").write_bytes(content)
    other = make_sqlite_site(tmp_path / "sqlite")
    refused = other.manage("restore_db", str(tmp_path / "pg.dump"), "--yes")
    assert refused.code != 0
    assert "PostgreSQL" in refused.err


def test_a_run_of_the_projects_tests_leaves_no_database(postgres: Postgres, site: Site) -> None:
    done = site.manage("shell", "--command", RUN_OF_TESTS)
    assert done.code == 0, done.err
    stem = f"test_{database_name(site)}"
    assert postgres.admin(f"SELECT datname FROM pg_database WHERE datname LIKE '{stem}%'") == []


# The way there


@pytest.fixture
def sqlite_site(tmp_path: Path) -> Site:
    return make_sqlite_site(tmp_path / "sqlite")


def test_a_site_moves_with_every_row_and_can_go_back(
    postgres: Postgres, sqlite_site: Site, site: Site, tmp_path: Path
) -> None:
    with sqlite_site.serving() as server:
        fill(server)
        before = rows_of(server)
    snapshot = tmp_path / "tasks.db"
    taken = sqlite_site.manage("backup", "--output", str(snapshot))
    assert taken.code == 0, taken.err
    sqlite_rows = {table: sqlite_site.ask(f"SELECT count(*) FROM {table}") for table in TABLES}
    with site.serving() as server:
        server.add_task("of the new site")
    moved = site.manage("restore_db", str(snapshot), "--yes")
    assert moved.code == 0, moved.err
    with site.serving() as server:
        assert "restore applied" in "".join(server.log)
        after = rows_of(server)
        assert {**after, "log": None} == {**before, "log": None}
        # Two entries more: of the snapshot, which was taken after that look, and of the restore.
        assert after["log"]["logs"][-len(before["log"]["logs"]) :] == before["log"]["logs"]
        postgres_rows = {
            table: ask(postgres, site, f"SELECT count(*) FROM {table}") for table in TABLES
        }
        postgres_rows["audit_logs"] = [(n - 1,) for (n,) in postgres_rows["audit_logs"]]
        assert postgres_rows == sqlite_rows
        server.add_task("goes on")
        newest = server.api("GET", "tasks").json()["tasks"][-1]["id"]
        assert newest == 8  # 7 was given, and taken back
    undone = site.manage("restore_db", "--undo", "--yes", "--now")
    assert undone.code == 0, undone.err
    assert re.search(r"(?m)^Applied: [\d.]+ MB$", undone.out)  # no bytes, so no SHA-256
    assert names_in(postgres, site) == ["of the new site"]
    assert sqlite_site.task_names() == [task["name"] for task in before["tasks"]]


def test_an_upload_of_a_sqlite_snapshot_is_recognised(
    sqlite_site: Site, site: Site, tmp_path: Path
) -> None:
    with sqlite_site.serving() as server:
        server.add_task("moved")
        content = server.api("GET", "backup").content
    with site.serving() as server:
        body = restore(server, content, apply="now")
        assert body["status"] == "applied"
        assert server.task_names() == ["moved"]


def test_what_does_not_fit_is_named_and_nothing_is_changed(
    sqlite_site: Site, site: Site, tmp_path: Path
) -> None:
    with sqlite_site.serving() as server:
        for number in range(1, 4):
            server.add_task(f"task {number}")
    sqlite_site.ask("UPDATE tasks SET name = 'a' || char(0) || 'b' WHERE id = 2")
    sqlite_site.ask("UPDATE tasks SET priority = 'high' WHERE id = 3")
    sqlite_site.ask("INSERT INTO task_tags (task_id, tag_id) VALUES (1, 99)")
    snapshot = tmp_path / "tasks.db"
    assert sqlite_site.manage("backup", "--output", str(snapshot)).code == 0
    refused = site.manage("restore_db", str(snapshot), "--yes")
    assert refused.code != 0
    for words in ("tasks", "name", "NUL", "priority", "'high'", "task_tags", "does not exist"):
        assert words in refused.err
    status = site.manage("restore_db", "--status")
    assert "Nothing is pending" in status.out


def test_the_archive_of_the_old_site_goes_on_in_the_new_one(
    postgres: Postgres, sqlite_site: Site, site: Site
) -> None:
    with sqlite_site.serving() as server:
        server.add_task("of old")
    assert sqlite_site.manage("backup", "--store").code == 0
    shutil.copytree(sqlite_site.data / ARCHIVE, site.data / ARCHIVE)
    assert site.manage("backup", "--store").code == 0
    listed = json.loads(site.manage("backups", "list", "--json").out)
    names = [each["name"] for each in listed["backups"]]
    assert sorted(name.partition(".")[2] for name in names) == ["db.zst", "dump.zst"]
    oldest = min(each["id"] for each in listed["backups"])
    verified = site.manage("backups", "verify", oldest)
    assert "restorable" in verified.out, verified.err
    done = site.manage("restore_db", "--from", oldest, "--now", "--yes")
    assert done.code == 0, done.err
    assert names_in(postgres, site) == ["of old"]


def test_the_command_takes_a_dump_from_a_server_elsewhere(site: Site, tmp_path: Path) -> None:
    other = make_sqlite_site(tmp_path / "sqlite")
    with site.serving() as server:
        server.add_task("far away")
        target = tmp_path / "far.dump"
        remote = {"TASKDOG_API_BASE_URL": server.url, "TASKDOG_API_KEY": site.key}
        taken = other.manage("backup", "--output", str(target), **remote)
        assert taken.code == 0, taken.err
        assert target.read_bytes().startswith(b"PGDMP")
        server.add_task("too late")
        put_back = other.manage("restore_db", str(target), "--yes", "--now", **remote)
        assert put_back.code == 0, put_back.err
        assert server.task_names() == ["far away"]
