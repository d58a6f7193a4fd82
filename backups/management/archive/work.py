"""``manage.py backups work``: the process of a job. Not for people."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from backups.api import archive_serializers as shapes
from backups.archive import jobs, services
from backups.archive.reporting import Report
from backups.exceptions import NotStoredError
from backups.management.archive.finish import finish
from backups.management.archive.prepare import prepare
from backups.management.archive.verb import Verb
from backups.schedule import run
from backups.services import get_store


def store(*, by: str, report: Report, label: str | None = None, database: str | None = None) -> Any:
    """Store a snapshot."""
    report.step("storing")
    with services.settling(database):
        stored = services.store(
            by=by, label=label, database=database, progress=report.add, expect=report.expect
        )
    return shapes.NewSnapshotSerializer(shapes.new_snapshot(stored)).data


def run_due(*, by: str, report: Report, database: str | None = None) -> Any:
    """Do the scheduled backup that is due."""
    return asdict(run.run_due(database=database))


def verify(*, by: str, report: Report, word: str, database: str | None = None) -> Any:
    """Verify a stored snapshot."""
    report.step("verifying", services.unpacked_size(word, database=database))
    verification = services.verify(word, by=by, database=database, progress=report.add)
    stored = None
    with suppress(NotStoredError):  # only its manifest is left
        stored = services.find_snapshot(word, database=database)
    return shapes.VerifiedSnapshotSerializer((stored, verification)).data


def restore(
    *,
    by: str,
    report: Report,
    word: str,
    is_now: bool = False,
    account: str | None = None,
    accept: Collection[str] = (),
    database: str | None = None,
) -> Any:
    """Stage a stored snapshot, and apply it if that is asked for."""
    report.step("staging", services.unpacked_size(word, database=database))
    pending = services.stage_snapshot(
        word,
        staged_by=by,
        account=account,
        accept=accept,
        database=database,
        progress=report.add,
    )
    return finish(pending, by=by, is_now=is_now, database=database)


WORK: Mapping[str, Callable[..., Any]] = {
    jobs.PREPARE: prepare,
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
            report = Report(get_store(database), job)
            jobs.run(
                job,
                lambda: work(by=found.by, report=report, database=database, **arguments),
                database=database,
            )
