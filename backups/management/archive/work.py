"""``manage.py backups work``: the process of a job. Not for people."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from backups.api import archive_serializers as shapes
from backups.archive import jobs, services
from backups.archive.job_progress import JobProgress
from backups.archive.state import note_failed, noting
from backups.exceptions import NotStoredError, StorageError
from backups.management.archive.prepare import finish, prepare
from backups.management.archive.verb import Verb
from backups.schedule import run


def store(
    *, by: str, progress: JobProgress, label: str | None = None, database: str | None = None
) -> Any:
    """Store a snapshot. If the last one is gone without a trace, note that after it."""
    progress.step("storing")
    lost = None
    try:
        services.check_last(database=database)
    except StorageError as error:
        lost = error
    with services.settling(database):
        stored = services.store(
            by=by,
            label=label,
            database=database,
            progress=progress,
            expect=partial(progress.step, "storing"),
        )
    if lost is not None:
        words = f"{stored.snapshot.name} is stored, but {lost}"
        with noting():
            note_failed(words, database=database)
        raise StorageError(words, hint=lost.hint)
    return shapes.NewSnapshotSerializer(shapes.new_snapshot(stored)).data


def run_due(*, by: str, progress: JobProgress, database: str | None = None) -> Any:
    """Do the scheduled backup that is due."""
    return asdict(run.run_due(database=database))


def verify(*, by: str, progress: JobProgress, word: str, database: str | None = None) -> Any:
    """Verify a stored snapshot."""
    found = services.find_snapshot(word, even_lost=True, database=database)
    progress.step("verifying", found.database_size)
    verification = services.verify(word, by=by, database=database, progress=progress)
    stored = None
    with suppress(NotStoredError):  # only its manifest is left
        stored = services.find_snapshot(word, database=database)
    return shapes.VerifiedSnapshotSerializer((stored, verification)).data


def restore(
    *,
    by: str,
    progress: JobProgress,
    word: str,
    is_now: bool = False,
    account: str | None = None,
    accept: Collection[str] = (),
    database: str | None = None,
) -> Any:
    """Stage a stored snapshot, and apply it if that is asked for."""
    progress.step("receiving")
    pending = services.stage_snapshot(
        word,
        staged_by=by,
        account=account,
        accept=accept,
        database=database,
        progress=progress,
        on_received=partial(progress.step, "checking"),
        tell=progress.tell,
    )
    return finish(pending, progress, by=by, is_now=is_now, database=database)


WORK: Mapping[str, Callable[..., Any]] = {
    "prepare": prepare,
    "restore": restore,
    "run-due": run_due,
    "store": store,
    "verify": verify,
}


class Work(Verb):
    """Does the work of a job that another process has begun."""

    name = "work"
    is_hidden = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job", metavar="ID")
        parser.add_argument("words", metavar="JSON")

    def run(self, *args: Any, job: str, words: str, **options: Any) -> None:
        asked = json.loads(words)
        database = asked["database"]
        found = jobs.find(job, database=database)
        if found is not None:
            work, arguments = WORK[found.work], asked["arguments"]
            jobs.run(
                job,
                lambda progress: work(
                    by=found.by, progress=progress, database=database, **arguments
                ),
                database=database,
            )
