"""
Restores staged, and servers stopped and killed, one after another, while people go on writing.

The snapshot is always the same and holds none of their tasks. So each task that was acknowledged
is, at the end, in one database: the live one, or the copy of it that one of the restores kept.
"""

import random
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import requests

from tests.backups.uploads import snapshot_of
from tests.backups.waiting import until
from tests.processes import environment, gunicorn_command
from tests.site import Server, Site, kill_group
from tests.workers import PRELOAD, WORKERS, configured, present, serving, stage
from tests.writers import Writers, check_every_task_is_kept_once

pytestmark = pytest.mark.proof

ROUNDS = 30  # of each long story
LIVE_RESTORES = 12
NEW = [f"new {number}" for number in range(300)]  # some pages: to mix two databases would show


@dataclass
class Story:
    """A site, its writers, and the servers that come and go."""

    site: Site
    snapshot: Path
    writers: Writers
    preload: bool
    options: tuple[str, ...] = ()
    chance: random.Random = field(default_factory=lambda: random.Random(20261123))
    staged: int = 0  # restores of which a server said that they are staged

    def serve_until(self, end: Callable[[Server], None]) -> None:
        """One server's life: what was staged is applied, tasks are added, a restore is staged."""
        with serving(self.site, *self.options, preload=self.preload) as server:
            self.check_applied()
            self.writers.write_to(server)
            self.writers.wait_for(self.chance.randint(1, 40))
            end(server)
        until(lambda: not present(self.site))  # its locks go a moment after its log ends

    def stop(self, server: Server) -> None:
        """As an operator does, after a restore was staged."""
        self._stage_and_go_on(server)
        server.stop()

    def kill(self, server: Server) -> None:
        """All processes at once, after a restore was staged."""
        self._stage_and_go_on(server)
        server.kill()

    def kill_while_staging(self, server: Server) -> None:
        """At a random point of the upload, of its checks, or soon after."""
        staging = threading.Thread(target=self._stage_if_the_server_lives, args=(server,))
        staging.start()
        with suppress(subprocess.TimeoutExpired):
            server.process.wait(timeout=self.chance.uniform(0, 0.3))
        server.kill()
        staging.join()

    def kill_while_starting(self) -> None:
        """At a random point of a start, which may be that of applying."""
        process = subprocess.Popen(
            [*gunicorn_command(), *configured(self.site, preload=self.preload)],
            env=environment(
                self.site.data,
                TASKDOG_BIND="127.0.0.1:0",
                TASKDOG_WORKERS=str(WORKERS),
                **self.site.variables,
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=self.chance.uniform(0.2, 0.8))
        kill_group(process)
        process.communicate()  # its end is that of the last worker

    def check_applied(self) -> None:
        """Everything that was staged has been applied once, and each time one copy was kept."""
        receipts = [receipt for receipt in self.site.receipts() if receipt["outcome"] != "staged"]
        assert not (self.site.data / "tasks.db.pending-restore").exists()
        assert {receipt["outcome"] for receipt in receipts} <= {"applied"}
        assert len({receipt["staged_at"] for receipt in receipts}) == len(receipts)
        assert [receipt["kept"] for receipt in receipts] == [path.name for path in self.site.kept()]
        assert len(receipts) >= self.staged

    def end(self) -> str:
        """The last start applies what is pending. Returns what came of it all."""
        assert self.site.manage("check").code == 0
        self.check_applied()
        check_every_task_is_kept_once(self.site, self.writers, old=[], new=NEW)
        assert {name for name in self.site.names() if name.startswith("tasks.db")} == {
            *("tasks.db", "tasks.db.lock", "tasks.db.restore-receipts.jsonl"),
            *(path.name for path in self.site.kept()),
        }
        return (
            f"{len(self.site.kept())} restores applied, {len(self.writers.acknowledged)} tasks"
            f" acknowledged, {len(self.writers.unanswered)} unanswered, 0 lost"
        )

    def _stage_and_go_on(self, server: Server) -> None:
        stage(server, self.snapshot)
        self.staged += 1
        self.writers.wait_for(self.chance.randint(0, 40))

    def _stage_if_the_server_lives(self, server: Server) -> None:
        with suppress(requests.ConnectionError):
            stage(server, self.snapshot)
            self.staged += 1


@pytest.fixture
def site(site: Site, tmp_path: Path) -> Site:
    """It keeps all the copies: the oldest are looked into, too."""
    settings = "from taskdog.settings import *\nBACKUPS_KEPT_COPIES = 0\n"
    (tmp_path / "keeping_all.py").write_text(settings)
    variables = {"DJANGO_SETTINGS_MODULE": "keeping_all", "PYTHONPATH": str(tmp_path)}
    return replace(site, variables=variables)


@pytest.fixture
def snapshot(site: Site, tmp_path: Path) -> Path:
    return snapshot_of(site, tmp_path / "snapshot.db", *NEW)


@PRELOAD
def test_restarts_under_load_lose_no_task(preload: bool, site: Site, snapshot: Path) -> None:
    with Writers(site) as writers:
        story = Story(site, snapshot, writers, preload)
        for end in (story.stop, story.kill):
            story.serve_until(end)
    story.end()
    assert len(site.kept()) == 2


@pytest.mark.crash
@PRELOAD
@pytest.mark.parametrize("options", [(), ("--max-requests", "8")], ids=["lasting", "recycled"])
def test_many_restarts_at_random_points_lose_no_task(
    options: tuple[str, ...],
    preload: bool,
    site: Site,
    snapshot: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Writers(site) as writers:
        story = Story(site, snapshot, writers, preload, options)
        for _ in range(ROUNDS):
            end = story.chance.choice((story.stop, story.kill, story.kill_while_staging))
            story.serve_until(end)
            if story.chance.random() < 0.5:
                story.kill_while_starting()
    told = story.end()
    with capsys.disabled():
        print(
            f"\npreload {preload}, {' '.join(options) or 'no recycling'}: {ROUNDS} rounds, {told}"
        )
    assert story.staged >= ROUNDS / 4


@pytest.mark.crash
@PRELOAD
def test_restores_without_a_restart_lose_no_task(
    preload: bool, site: Site, snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Under load, while workers are recycled one by one."""
    apply = "from backups import services; print(services.apply_now(applied_by='me').outcome)"
    options = ("--max-requests", "40", "--max-requests-jitter", "40")
    with Writers(site) as writers, serving(site, *options, preload=preload) as server:
        writers.write_to(server)
        for _ in range(LIVE_RESTORES):
            writers.wait_for(25)
            stage(server, snapshot)
            applied = site.manage("shell", "--verbosity", "0", "--command", apply)
            assert applied.out == "applied\n", applied.err
        writers.wait_for(25)
        assert NEW[0] in server.task_names()
        server.kill()
    assert site.conclusions() == ["applied"] * LIVE_RESTORES
    assert len(site.kept()) == LIVE_RESTORES
    check_every_task_is_kept_once(site, writers, old=[], new=NEW)
    with capsys.disabled():
        print(
            f"\npreload {preload}, without a restart: {LIVE_RESTORES} restores applied,"
            f" {len(writers.acknowledged)} tasks acknowledged, 0 lost"
        )
