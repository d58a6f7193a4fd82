"""
Stored snapshots over HTTP: long work that no worker's end cuts, and downloads that break off.

Two workers and more, real jobs, and a storage that waits where a test wants it to.
"""

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from backups.client import BackupClient
from backups.exceptions import OutcomeUnknownError, ServerRefusedError
from tests.backups.commands import run, start
from tests.backups.uploads import add_ballast, add_tasks
from tests.backups.waiting import until
from tests.gated_storage import GATE, REACHED
from tests.site import Server, Site, kill_group, task_names
from tests.workers import present

pytestmark = pytest.mark.proof

GATED = {"DJANGO_SETTINGS_MODULE": "tests.gated_settings"}
MEGABYTES = 20


@pytest.fixture
def gated(site: Site) -> Site:
    """A site whose storage waits while its gate is there."""
    site.variables.update(GATED)
    add_tasks(site.database, "one")
    (site.data / GATE).touch()
    return site


@contextmanager
def serving(site: Site, **variables: str) -> Iterator[Server]:
    """Serve it. At the end the gate is open: a job that waits holds the server's log open."""
    with site.serving(**variables) as server:
        server.http.headers["Connection"] = "close"  # so that any worker answers
        try:
            yield server
        finally:
            (site.data / GATE).unlink(missing_ok=True)


def wait_for_gate(site: Site) -> None:
    until((site.data / REACHED).exists)


def open_gate(site: Site) -> None:
    (site.data / GATE).unlink()


def begin(server: Server) -> dict[str, Any]:
    """Let it store a snapshot, which takes longer than a request may."""
    answer = server.api("POST", "backups")
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"]) == (202, "running"), body
    assert answer.headers["Location"] == f"/api/v1/backups/jobs/{body['job']}"
    return body


def ended(server: Server, job: str) -> dict[str, Any]:
    """A job, once it has ended."""

    def ask() -> dict[str, Any] | None:
        found: dict[str, Any] = server.api("GET", f"backups/jobs/{job}").json()
        return found if found["status"] != "running" else None

    return until(ask)


def process_of(job: str) -> int:
    """The process that does this job."""

    def find() -> int | None:
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = place.read_bytes()
                if job.encode() in words and b"backups.archive.job_child" in words:
                    return int(place.parent.name)
        return None

    return until(find)


def names(site: Site) -> list[str]:
    folder = site.data / "tasks.db.backups"
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".part"))


# Jobs


def test_any_worker_tells_how_a_long_backup_goes(gated: Site) -> None:
    with serving(gated, TASKDOG_WORKERS="3") as server:
        job = begin(server)["job"]
        wait_for_gate(gated)
        for _ in range(10):
            assert server.api("GET", f"backups/jobs/{job}").json()["status"] == "running"
        assert server.api("GET", "backups").json()["backups"] == []
        open_gate(gated)
        found = ended(server, job)
        assert (found["status"], found["work"], found["by"]) == ("done", "store", "tester")
        backup = found["answer"]["backup"]
        assert found["answer"]["status"] == "stored"
        assert server.api("GET", f"backups/{backup['id']}").json() == backup


def test_backup_ends_although_its_worker_and_then_the_server_are_killed(gated: Site) -> None:
    with serving(gated) as server:
        job = begin(server)["job"]
        wait_for_gate(gated)
        for worker in set(server.worker_pids()):
            os.kill(worker, signal.SIGKILL)
        assert process_of(job) in present(gated)
        kill_group(server.process)
        with serving(gated) as second:
            assert process_of(job) in present(gated)
            assert second.api("GET", f"backups/jobs/{job}").json()["status"] == "running"
            open_gate(gated)
            found = ended(second, job)
            assert found["status"] == "done"
            assert second.api("GET", "backups/latest").json() == found["answer"]["backup"]


def test_job_that_is_killed_is_found_stopped_and_leaves_no_part_under_a_name(gated: Site) -> None:
    with serving(gated) as server:
        job = begin(server)["job"]
        wait_for_gate(gated)
        os.kill(process_of(job), signal.SIGKILL)
        assert ended(server, job)["status"] == "stopped"
        assert names(gated) == []
        assert server.api("GET", "backups").json()["backups"] == []
        open_gate(gated)
        assert ended(server, begin(server)["job"])["status"] == "done"


def test_client_waits_for_the_end_of_a_job(gated: Site) -> None:
    with serving(gated) as server, BackupClient(server.url, gated.key) as client:
        answers: list[dict[str, Any]] = []
        thread = threading.Thread(
            target=lambda: answers.append(client.store_backup("word")), daemon=True
        )
        thread.start()
        wait_for_gate(gated)
        open_gate(gated)
        thread.join()
        (answer,) = answers
        assert (answer["status"], answer["backup"]["label"]) == ("stored", "word")
        assert client.list_backups()["backups"][0]["id"] == answer["backup"]["id"]

        trial = client.verify_backup("latest")
        assert (trial["outcome"], trial["backup"]["id"]) == ("restorable", answer["backup"]["id"])
        assert client.get_backup("latest")["verification"]["outcome"] == "restorable"
        with pytest.raises(ServerRefusedError, match="There is no stored snapshot") as error:
            client.verify_backup("20200101-000000")
        assert (error.value.status, error.value.code) == (404, "not_stored")

        server.add_task("two")
        assert client.restore_backup("latest")["status"] == "pending"
        assert server.task_names() == ["one", "two"]
        assert client.restore_backup("latest", now=True)["status"] == "applied"
        assert server.task_names() == ["one"]


def test_client_is_told_that_a_job_was_stopped(gated: Site) -> None:
    with serving(gated) as server, BackupClient(server.url, gated.key) as client:
        errors: list[Exception] = []

        def store() -> None:
            try:
                client.store_backup()
            except OutcomeUnknownError as error:
                errors.append(error)

        thread = threading.Thread(target=store, daemon=True)
        thread.start()
        wait_for_gate(gated)
        state = json.loads((gated.data / "tasks.db.backups-state.json").read_text())
        os.kill(process_of(state["jobs"][-1]["id"]), signal.SIGKILL)
        thread.join()
        (error,) = errors
        assert f"manage.py backups list --url {server.url}" in getattr(error, "hint", "")


# A line that breaks


class Cutter:
    """A proxy that ends each connection after so many bytes of an answer, or holds it then."""

    def __init__(self, url: str, most: int, *, holds: bool = False) -> None:
        """Listen on a free port."""
        self._may_end = threading.Event()
        if not holds:
            self._may_end.set()
        self._to = urlsplit(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.most, self.cuts = most, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._may_end.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection((self._to.hostname or "", self._to.port or 0)) as to:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(65536)
            to.sendall(request)
            left = self.most
            with suppress(OSError):
                while left and (chunk := to.recv(min(left, 65536))):
                    left -= len(chunk)
                    client.sendall(chunk)
            self.cuts += not left
            self._may_end.wait()


def test_download_over_a_line_that_breaks_is_whole(site: Site, tmp_path: Path) -> None:
    add_tasks(site.database, "one")
    add_ballast(site.database, MEGABYTES)
    with site.serving() as server:
        backup = server.api("POST", "backups").json()["backup"]
        with (
            closing(Cutter(server.url, 3_000_000)) as line,
            BackupClient(line.url, site.key) as client,
        ):
            client.download_backup("latest", tmp_path / "saved.db.zst")
        assert line.cuts >= MEGABYTES // 3
        parts = server.api("GET", "restores").json()["downloads"]
        assert len(parts) >= MEGABYTES // 3
    saved = (tmp_path / "saved.db.zst").read_bytes()
    assert saved == (site.data / "tasks.db.backups" / backup["name"]).read_bytes()
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_download_that_was_killed_is_continued_by_the_next_run(
    site: Site, template_site: Site, tmp_path: Path
) -> None:
    add_ballast(site.database, MEGABYTES)
    with site.serving() as server, closing(Cutter(server.url, 3_000_000, holds=True)) as line:
        backup = server.api("POST", "backups").json()["backup"]
        words = ["backups", "download", "latest", "-o", str(tmp_path / "saved"), "--url"]
        variables = {"TASKDOG_API_KEY": site.key}
        with start(template_site, *words, line.url, variables=variables) as process:
            (part,) = until(lambda: list(tmp_path.glob("saved.*.part")))
            until(lambda: part.stat().st_size > 1_000_000)
            process.kill()
        assert not (tmp_path / "saved").exists()
        ended = run(template_site, *words, server.url, variables=variables)
        assert ended.code == 0, ended.err
        last = server.api("GET", "restores").json()["downloads"][0]
    assert last["first"] > 1_000_000
    assert last["first"] + last["sent"] == backup["size"]
    stored = site.data / "tasks.db.backups" / backup["name"]
    assert (tmp_path / "saved").read_bytes() == stored.read_bytes()
    assert not part.exists()


# A new machine


def test_stored_snapshot_comes_back_on_a_machine_that_has_nothing(
    site: Site, template_site: Site, tmp_path: Path
) -> None:
    add_tasks(site.database, "one")
    secret, folder = tmp_path / "secret.key", tmp_path / "gone" / "with all"
    public = run(site, "backups", "keygen", "-o", str(secret)).out.strip()
    stored = run(site, "backup", "--store", variables={"TASKDOG_BACKUP_RECIPIENTS": public})
    assert stored.code == 0, stored.err

    (tmp_path / "moved_settings.py").write_text(
        "from taskdog.settings import *\n"
        f"DATABASES['default']['NAME'] = {str(folder / 'site.db')!r}\n"
    )
    variables = {
        "PYTHONPATH": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "moved_settings",
        "TASKDOG_BACKUP_STORAGE": str(site.data / "tasks.db.backups"),
    }
    words = ["restore_db", "--from", "latest", "--yes"]
    refused = run(template_site, *words, variables=variables)
    assert refused.code == 1
    assert "no secret key was named" in refused.err
    staged = run(template_site, *words, "--identity", str(secret), variables=variables)
    assert staged.code == 0, staged.err
    assert folder.stat().st_mode & 0o777 == 0o700
    run(template_site, "check", variables=variables)  # any start applies it
    assert task_names(folder / "site.db") == ["one"]


# The commands, on a server


def test_commands_do_on_a_server_what_they_do_here(
    site: Site, template_site: Site, tmp_path: Path
) -> None:
    add_tasks(site.database, "one")
    here = tmp_path / "here"
    here.mkdir()
    with site.serving() as server:
        variables = {"TASKDOG_API_BASE_URL": server.url, "TASKDOG_API_KEY": site.key}

        def manage(*words: str) -> str:
            ended = run(template_site, *words, cwd=here, variables=variables)
            assert ended.code == 0, ended.err
            return ended.out

        name = manage("backup", "--store", "--label", "word").strip()
        snapshot_id = re.sub(r".*-backup-|\.db.*", "", name)
        assert snapshot_id in manage("backups", "list")
        assert f'"name": "{name}"' in manage("backups", "show", "latest")
        assert manage("backups", "download", snapshot_id).strip() == name
        assert (here / name).read_bytes() == (site.data / "tasks.db.backups" / name).read_bytes()
        manage("backups", "download", "latest", "--unpack", "-o", "tasks.db")
        assert task_names(here / "tasks.db") == ["one"]
        assert "restorable" in manage("backups", "verify", "latest")
        server.add_task("two")
        assert "Pending:" in manage("restore_db", "--from", "latest", "--yes")
        assert server.task_names() == ["one", "two"]
        assert "Applied:" in manage("restore_db", "--from", snapshot_id, "--now", "--yes")
        assert server.task_names() == ["one"]

        for words in (
            ("backups", "verify", "latest", "--identity", "key"),
            ("restore_db", "--from", "latest", "--identity", "key", "--yes"),
        ):
            ended = run(template_site, *words, cwd=here, variables=variables)
            assert ended.code == 1
            assert "--identity is never sent to a server" in ended.err

        assert "is held" in manage("backups", "hold", "latest", "--reason", "an audit")
        assert "held by tester (an audit)" in manage("backups", "list")
        ended = run(
            template_site, "backups", "delete", "latest", "--yes", "--force", variables=variables
        )
        assert ended.code == 1
        assert "is held by tester" in ended.err
        manage("backups", "release", "latest")
        assert name in manage("backups", "delete", "latest", "--yes", "--force")
        assert server.api("GET", "backups").json()["backups"] == []
