"""The whole story: a store is saved, changed, restored, and kept."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.site import Site, copy_site, task_names

pytestmark = pytest.mark.proof


def test_tasks_come_back_after_download_change_upload_and_restart(
    site: Site, tmp_path: Path
) -> None:
    snapshot = tmp_path / "snapshot.db"
    with site.serving() as server:
        server.add_task("before")
        answer = server.api("GET", "backup")
        snapshot.write_bytes(answer.content)
        server.add_task("after")
        with snapshot.open("rb") as upload:
            answer = server.api("POST", "restore", files={"file": upload})
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
        assert server.task_names() == ["before", "after"], "nothing changes before the restart"

    with site.serving() as server:
        assert server.task_names() == ["before"]
        last = server.api("GET", "restore").json()["last"]

    assert last["outcome"] == "applied"
    assert task_names(site.data / last["kept"]) == ["before", "after"]


def test_tasks_come_back_after_the_database_is_lost(site: Site, snapshot: Path) -> None:
    for path in site.data.glob("tasks.db*"):
        path.unlink()

    staged = site.manage("restore_db", str(snapshot), "--yes")
    assert staged.code == 0, staged.err

    with site.serving() as server:
        assert server.task_names() == ["from the snapshot"]


def test_rows_that_were_only_in_the_wal_of_a_killed_server_are_kept(
    site: Site, snapshot: Path
) -> None:
    with site.serving() as server:
        server.add_task("only in the WAL")
        with snapshot.open("rb") as upload:
            assert server.api("POST", "restore", data=upload, headers=OCTETS).status_code == 200
        server.kill()
    assert (site.data / "tasks.db-wal").stat().st_size > 0

    with site.serving() as server:
        assert server.task_names() == ["from the snapshot"]

    (kept,) = site.kept()
    assert task_names(kept) == ["only in the WAL"]


def test_older_snapshot_is_migrated_forward(site: Site, snapshot: Path) -> None:
    with closing(sqlite3.connect(snapshot)) as old:
        old.execute("DROP TABLE django_session")
        old.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        old.commit()

    staged = site.manage("restore_db", str(snapshot), "--yes")
    assert "runs 1 migration" in staged.out, staged.err

    with site.serving() as server:
        assert server.task_names() == ["from the snapshot"]
    with closing(sqlite3.connect(site.database)) as now:
        assert now.execute("SELECT count(*) FROM django_session").fetchone() == (0,)
    assert site.receipts()[-1]["migrations"] == ["sessions.0001_initial"]


def test_folder_whose_name_is_not_utf8_is_saved_restored_and_undone(
    template_site: Site, tmp_path: Path
) -> None:
    site = copy_site(template_site, tmp_path / os.fsdecode(b"caf\xe9"))
    snapshot = tmp_path / "snapshot.db"
    with site.serving() as server:
        server.add_task("before")
        for compact, method in ((0, "pages"), (1, "compact")):
            answer = server.api("GET", f"backup?compact={compact}")
            assert (answer.status_code, answer.headers["Snapshot-Method"]) == (200, method)
            snapshot.write_bytes(answer.content)
            assert task_names(snapshot) == ["before"]
        server.add_task("after")
        staged = server.api("POST", "restore", data=snapshot.read_bytes(), headers=OCTETS)
        assert (staged.status_code, staged.json()["status"]) == (200, "pending"), staged.text

    with site.serving() as server:
        assert server.task_names() == ["before"]
        undone = server.api("POST", "restore/undo")
        assert (undone.status_code, undone.json()["status"]) == (200, "pending"), undone.text

    assert site.manage("check").code == 0
    assert task_names(site.database) == ["before", "after"]
    assert site.conclusions() == ["applied", "applied"]


OCTETS = {"Content-Type": "application/octet-stream"}
