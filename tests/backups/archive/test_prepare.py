"""A restore that is checked first, and then waits for a person: real jobs, files and signals."""

from pathlib import Path

import pytest

from backups.archive import jobs
from tests.backups.archive import prepared_jobs as prepared
from tests.backups.archive.prepared_jobs import BEN
from tests.backups.uploads import add_tasks, snapshot_of
from tests.processes import environment
from tests.site import Site, task_names


@pytest.fixture
def home(live: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The live site, which jobs find too; it has one task."""
    for name, value in environment(live.data).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "taskdog.settings")
    add_tasks(live.database, "live")
    return live


@pytest.fixture
def content(template_site: Site, tmp_path: Path) -> bytes:
    """A good snapshot with two tasks."""
    return snapshot_of(template_site, tmp_path / "good.db", "one", "two").read_bytes()


def test_verdict_comes_first_and_then_the_choice(home: Site, content: bytes) -> None:
    job = prepared.waiting(prepared.upload(content, at_least=len(content)))
    assert job.verdict is not None
    assert job.verdict["kind"] == "upload"
    assert {"table": "tasks", "live": 1, "snapshot": 2} in job.verdict["rows"]
    assert not (home.data / "tasks.db.pending-restore").exists()
    jobs.decide(job.id, "stage", by=BEN)
    answer = prepared.done(job)
    assert (answer["status"], answer["staged_by"]) == ("pending", BEN)
    assert task_names(home.data / "tasks.db.pending-restore") == ["one", "two"]
