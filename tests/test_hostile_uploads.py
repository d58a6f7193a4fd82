"""
A corpus of damaged and hostile files through the real endpoint of a real server.

Whatever comes, the answer is 400 with a reason, or 200 and then the pending file is whole. No
worker dies or grows, nothing is written but the pending file and its manifest, nothing takes
longer than the limit, and the live database stays as it is.
"""

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.corpus import Specimen, corpus, cut
from tests.corpus.snapshots import fill, in_many_forms
from tests.hostile_settings import BACKUPS_CHECK_SECONDS
from tests.site import Server, Site, copy_site
from tests.standard_sqlite import dump

pytestmark = pytest.mark.proof

SHORT = 60  # specimens in the normal run, a few seconds
SPARE_SECONDS = 4.0  # for the upload itself, and for a machine that is busy
MOST_GROWTH = 64 * 1024**2  # bytes of a worker's own memory; a snapshot is never held whole
WARM_UP = 6  # uploads before the first look at the memory, so that both workers have had some
PROMISED = {"tasks", "notes", "tags", "auth_user", "django_session", "django_migrations"}


@dataclass
class Watch:
    """A server under attack: what was so before each upload, and the worst that was seen."""

    site: Site
    server: Server
    slowest: float = 0.0
    largest_growth: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    accepted: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = self.site.names()
        self.live = self._live()
        self.workers = self.server.worker_pids()
        self.memory = {pid: own_memory(pid) for pid in self.workers}

    def upload(self, specimen: Specimen, folder: Path) -> None:
        """Send one, and see that everything holds that must."""
        content = specimen.make()
        began = time.monotonic()
        answer = stage(self.server, content)
        seconds = time.monotonic() - began
        assert answer.status_code in (200, 400), (specimen.name, answer.status_code, answer.text)
        body = answer.json()
        self.answers[body.get("code", "accepted")] += 1
        if answer.status_code == 400:
            assert body["detail"], specimen.name
            assert len(answer.content) < 4096, (specimen.name, len(answer.content))
            assert self.site.names() == self.names, specimen.name
        else:
            self._take(specimen, folder)
        assert self._live() == self.live, specimen.name
        assert seconds < BACKUPS_CHECK_SECONDS + SPARE_SECONDS, (specimen.name, seconds)
        self.slowest = max(self.slowest, seconds)
        self._look_at_workers(specimen)

    def report(self) -> str:
        """The numbers, for whoever runs it with ``-s``."""
        return (
            f"{self.answers.total()} uploads: {dict(self.answers.most_common())};"
            f" slowest {self.slowest:.2f} s,"
            f" largest growth of a worker {self.largest_growth / 1e6:.1f} MB"
        )

    def _take(self, specimen: Specimen, folder: Path) -> None:
        """Whatever was accepted is whole, and what it says of itself is so; then discard it."""
        pending = self.site.data / "tasks.db.pending-restore"
        manifests = {path.name for path in self.site.data.glob("tasks.db.pending-restore.*.json")}
        assert len(manifests) == 1, specimen.name
        assert self.site.names() == self.names | manifests | {pending.name}, specimen.name
        path = folder / f"{len(self.accepted)}.db"
        shutil.copyfile(pending, path)
        check_whole(path, specimen.name)
        self.accepted.append(path)
        assert self.server.api("DELETE", "restore").status_code == 200
        assert self.site.names() == self.names, specimen.name

    def _look_at_workers(self, specimen: Specimen) -> None:
        assert self.server.worker_pids() == self.workers, specimen.name
        for pid, before in self.memory.items():
            self.largest_growth = max(self.largest_growth, own_memory(pid) - before)
        assert self.largest_growth < MOST_GROWTH, specimen.name

    def _live(self) -> list[str]:
        """All that the database holds, but for the audit log, which tells of what is staged."""
        database = f"file:{self.site.database}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            return [line for line in dump(connection) if "audit_logs" not in line]


def own_memory(pid: int) -> int:
    """Bytes that are this process's alone: not of files, not shared."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"{pid} has no memory")


def check_whole(path: Path, name: str) -> None:
    """As anybody would who opens it with SQLite, for writing; it must be one file afterwards."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes  # a text may be no UTF-8, as it may be in any database
        assert connection.execute("PRAGMA integrity_check").fetchall() == [(b"ok",)], name
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == [], name
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
        )
        assert {table.decode() for (table,) in tables} >= PROMISED, name
        for table in PROMISED - {"django_session"}:
            connection.execute(f"SELECT * FROM {table}").fetchone()
        assert connection.execute("SELECT count(*) FROM django_session").fetchone() == (0,), name
        connection.execute("VACUUM INTO ?", (f"{path}.again",))  # as the next backup does
        Path(f"{path}.again").unlink()
    assert not list(path.parent.glob(f"{path.name}-*")), name


@pytest.fixture(scope="module")
def base(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with one of everything, stopped."""
    site = copy_site(template_site, tmp_path_factory.mktemp("hostile") / "data")
    with site.serving() as server:
        fill(site, server)
        snapshot_of(site).write_bytes(server.api("GET", "backup").content)
    return site


@pytest.fixture(scope="module")
def specimens(base: Site) -> list[Specimen]:
    return corpus(in_many_forms(snapshot_of(base).read_bytes()))


@pytest.fixture
def watch(base: Site, tmp_path: Path) -> Iterator[Watch]:
    """That site, served with a short limit on checks; every worker has seen a good upload."""
    site = copy_site(base, tmp_path / "data")
    with site.serving(DJANGO_SETTINGS_MODULE="tests.hostile_settings") as server:
        for _ in range(WARM_UP):
            taken = stage(server, snapshot_of(base).read_bytes())
            assert taken.status_code == 200, taken.text
        assert server.api("DELETE", "restore").status_code == 200
        yield Watch(site, server)


def snapshot_of(site: Site) -> Path:
    """The good snapshot that was taken of a site, beside its folder."""
    return site.data.parent / "snapshot.db"


def stage(server: Server, content: bytes) -> requests.Response:
    """Upload, over a connection of its own, so that each worker has its turn."""
    return server.api(
        "POST",
        "restore",
        data=content,
        headers={"Content-Type": "application/vnd.sqlite3", "Connection": "close"},
    )


def attack(watch: Watch, specimens: list[Specimen], folder: Path, *, applied: int) -> None:
    """Upload them all, then let the site live with so many of those that it took."""
    for specimen in specimens:
        watch.upload(specimen, folder)
    print(watch.report())
    assert watch.answers["accepted"] < watch.answers.total()
    watch.server.stop()
    chosen = watch.accepted[:: len(watch.accepted) // applied][:applied]
    assert len(chosen) == applied
    for number, path in enumerate(chosen, start=1):
        with watch.site.serving() as server:
            assert stage(server, path.read_bytes()).status_code == 200
        with watch.site.serving() as server:
            assert requests.get(f"{server.url}/health", timeout=60).status_code == 200
            check_whole_bytes(server.api("GET", "backup").content, folder)
        outcomes = [receipt["outcome"] for receipt in watch.site.receipts()]
        assert outcomes.count("applied") == number, watch.site.receipts()[-1]


def check_whole_bytes(content: bytes, folder: Path) -> None:
    """The same of a download."""
    path = folder / "downloaded.db"
    path.write_bytes(content)
    check_whole(path, path.name)


def test_hostile_uploads_are_refused_or_whole(
    watch: Watch, specimens: list[Specimen], tmp_path: Path
) -> None:
    """A cut of the corpus, from each family."""
    attack(watch, cut(specimens, SHORT), tmp_path, applied=1)


@pytest.mark.crash
def test_the_whole_corpus_is_refused_or_whole(
    watch: Watch, specimens: list[Specimen], tmp_path: Path
) -> None:
    assert len(specimens) >= 2000
    attack(watch, specimens, tmp_path, applied=8)


def test_corpus_is_the_same_in_every_run(specimens: list[Specimen]) -> None:
    names = [specimen.name for specimen in specimens]
    assert len(set(names)) == len(names)
    again = cut(specimens, SHORT)
    assert [each.name for each in again] == [each.name for each in cut(specimens, SHORT)]
    for specimen in again[:20]:
        assert specimen.make() == specimen.make()
