"""Real S3 servers, one of each kind for a whole run; a live site whose jobs are real."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from backups.archive import jobs
from backups.exceptions import BackupError
from tests import s3_servers
from tests.backups.uploads import add_tasks, snapshot_of
from tests.processes import environment
from tests.s3_servers import S3Server
from tests.site import Site


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that enforces no condition and knows no ranges."""
    with s3_servers.rclone(tmp_path_factory.mktemp("rclone") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that is strict."""
    with s3_servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs") / "data") as server:
        yield server


@pytest.fixture(params=["rclone", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server:
    """Each of them in turn."""
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def _no_aws_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some S3 clients fail with a bundle of the developer's, and no test wants other keys."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def home(live: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The live site, which the processes of jobs find too. It has one task."""
    for name, value in environment(live.data).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "taskdog.settings")
    add_tasks(live.database, "live")
    yield live
    for job in jobs.list_jobs():
        with suppress(BackupError):  # it has ended
            jobs.decide(job.id, "cancel", by="tester")


@pytest.fixture
def content(template_site: Site, tmp_path: Path) -> bytes:
    """A good snapshot with two tasks."""
    return snapshot_of(template_site, tmp_path / "good.db", "one", "two").read_bytes()


@pytest.fixture
def older(template_site: Site, tmp_path: Path) -> bytes:
    """A snapshot of an earlier release, which needs a migration."""
    path = snapshot_of(template_site, tmp_path / "older.db", "older")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE django_session")
        connection.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        connection.commit()
    return path.read_bytes()
