"""Commands, endpoints and pages of a site on PostgreSQL: the same as those of one on SQLite."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.hashers import make_password

from tests.backups.api.test_views import PASSWORD
from tests.backups.commands import run
from tests.backups.page.reading import text_of
from tests.backups.page.test_restores import CAN_BE_PUT_BACK, CAN_BE_UNDONE, decide
from tests.backups.page.visitor import Visitor, path_of
from tests.backups.uploads import NOW, add_tasks
from tests.backups.waiting import until
from tests.postgres.server import Server as Postgres
from tests.postgres.sites import database_name, make_site
from tests.site import Server, Site, copy_site

pytestmark = pytest.mark.postgres

NAME = r"taskdog-backup-\d{8}-\d{6}\.dump"
PAGES = ("", "snapshots/", "restore/", "history/")


@pytest.fixture
def site(postgres: Postgres, tmp_path: Path) -> Site:
    """A web machine, with ann, who is staff."""
    made = make_site(postgres, tmp_path / "data")
    secret = make_password(PASSWORD, hasher="pbkdf2_sha256")
    postgres.admin(
        "INSERT INTO auth_user (username, password, is_staff, is_superuser, is_active, date_joined,"
        f" first_name, last_name, email) VALUES ('ann', '{secret}', true, false, true, '{NOW}',"
        " '', '', '')",
        database_name(made),
    )
    return made


@pytest.fixture
def served(site: Site) -> Iterator[Server]:
    """That machine, at work, with one task."""
    with site.serving() as running:
        running.add_task("one")
        yield running


def test_a_dump_goes_out_and_comes_back(served: Server, site: Site, tmp_path: Path) -> None:
    sent = served.api("GET", "backup")
    assert sent.headers["Content-Type"] == "application/octet-stream"
    assert re.search(NAME, sent.headers["Content-Disposition"])
    assert sent.headers["Snapshot-Method"] == "dump"
    served.add_task("two")
    as_file = {"file": sent.content}
    assert served.api("POST", "restore?apply=now", files=as_file).status_code == 200
    assert served.task_names() == ["one"]
    assert served.api("POST", "restore/undo?apply=now").status_code == 200
    assert served.task_names() == ["one", "two"]
    url = {"TASKDOG_API_KEY": site.key, "TASKDOG_API_INSECURE": "1"}
    for folder, more in (("here", ()), ("from afar", ("--url", f"{served.url}/api/v1"))):
        here = tmp_path / folder  # each its own: two within a second would share the name
        here.mkdir()
        saved = run(site, "backup", "-o", str(here), "--check", *more, variables=url)
        assert saved.code == 0, saved.err
        assert re.fullmatch(NAME, Path(saved.out.strip()).name)
    metrics = served.api("GET", "metrics").text
    assert 'backups_healthy{database="default"} 1.0' in metrics
    assert "backups_free_bytes{" not in metrics, "the server does not tell"


def test_pages_show_a_restore_from_its_upload_to_its_undo(
    served: Server, site: Site, tmp_path: Path
) -> None:
    served.http.headers["Connection"] = "close"
    saved = run(site, "backup", "-o", str(tmp_path / "saved.dump"))
    assert saved.code == 0, saved.err
    stored = run(site, "backup", "--store")
    assert re.fullmatch(rf"{NAME}\.zst", stored.out.strip()), stored.err
    served.add_task("two")
    ann = Visitor(served, "ann")
    for path in PAGES:
        shown = ann.get(path)
        assert shown.status_code == 200, shown.text
        assert "SQLite" not in text_of(shown.text)
    snapshot_id = stored.out.strip()[len("taskdog-backup-") :].partition(".")[0]
    shown = ann.get(f"snapshots/{snapshot_id}/")
    assert f"zstd -d taskdog-backup-{snapshot_id}.dump.zst" in text_of(shown.text)
    page = ann.upload(tmp_path / "saved.dump")
    ann.wait_for(page, CAN_BE_PUT_BACK)
    decide(ann, page, "now")
    until(lambda: names_of(served) == ["one"])
    ann = Visitor(served, "ann")  # a restore ends all logins of this site
    until(lambda: "Live since" in ann.get(path_of(page)).text)
    page = ann.send("restore/undo/")
    ann.wait_for(page, CAN_BE_UNDONE)
    decide(ann, page, "now")
    until(lambda: names_of(served) == ["one", "two"])


def test_a_page_outlives_the_sessions_that_a_restore_ends(
    served: Server, site: Site, postgres: Postgres
) -> None:
    """One in mid-query, and one that connects while the database gets its new name."""
    ann = Visitor(served, "ann")
    with (
        ThreadPoolExecutor() as pool,
        psycopg.connect(postgres.conninfo(database_name(site), "postgres")) as admin,
    ):
        admin.execute("LOCK TABLE auth_user")
        answer = pool.submit(ann.get, "restore/")
        ended: set[int] = set()
        for _ in range(2):
            pid = until(lambda: waiting_in(postgres, database_name(site)) - ended).pop()
            postgres.admin(f"SELECT pg_terminate_backend({pid})")
            ended.add(pid)
        until(lambda: answer.done() or waiting_in(postgres, database_name(site)) - ended)
        admin.rollback()
        assert answer.result().status_code == 200


def waiting_in(postgres: Postgres, database: str) -> set[int]:
    """The sessions in a database that wait for a lock."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
    return {pid for (pid,) in postgres.admin(f"{query}'{database}'")}


def names_of(served: Server) -> list[str] | None:
    """The tasks; None if the restore has just ended the connection of this request."""
    answer = served.api("GET", "tasks")
    return [each["name"] for each in answer.json()["tasks"]] if answer.ok else None


def test_archive_of_before_the_move_goes_on_after_it(
    site: Site, postgres: Postgres, template_site: Site, tmp_path: Path
) -> None:
    archive = {"TASKDOG_BACKUP_STORAGE": str(tmp_path / "archive")}
    old = copy_site(template_site, tmp_path / "old")
    add_tasks(old.database, "from SQLite")
    before = run(old, "backup", "--store", variables=archive)
    assert before.out.strip().endswith(".db.zst"), before.err
    after = run(site, "backup", "--store", variables=archive)
    assert after.out.strip().endswith(".dump.zst"), after.err
    listed = run(site, "backups", "list", variables=archive)
    assert len(listed.out.splitlines()) == 2
    for name in (before.out.strip(), after.out.strip()):
        verified = run(site, "backups", "verify", name, variables=archive)
        assert "restorable" in verified.out, verified.out + verified.err
    word = before.out.strip()
    moved = run(site, "restore_db", "--from", word, "--now", "--yes", variables=archive)
    assert moved.code == 0, moved.err
    live = postgres.admin("SELECT name FROM tasks", database_name(site))
    assert live == [("from SQLite",)]
    # And the other way round it is refused, not called damaged.
    refused = run(old, "backups", "verify", after.out.strip(), variables=archive)
    assert "This is a dump of a PostgreSQL database" in refused.out
    assert "damaged" not in refused.out


def test_server_that_is_gone_is_said_to_be_and_stops_no_start(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    site = make_site(own_postgres, tmp_path / "data")
    own_postgres.kill()
    with site.serving() as running:  # which starts all the same
        health = running.http.get(f"{running.url}/health/backups", timeout=60)
        assert (health.status_code, health.json()["status"]) == (503, "unreachable")
        refused = running.api("GET", "backup")
        assert (refused.status_code, refused.json()["code"]) == (503, "database_server")
        own_postgres.start()
        running.add_task("once it answers")
        assert running.api("GET", "restore").json()["in_use_by"], "it is present from then on"
