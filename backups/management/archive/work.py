"""``manage.py backups work``: the process of a job. Not for people."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from backups.api import archive_serializers as shapes
from backups.archive import jobs, services
from backups.management.archive.verb import Verb
from backups.schedule import run


def store(*, by: str, label: str | None = None, database: str | None = None) -> Any:
    """Store a snapshot."""
    with services.settling(database):
        stored = services.store(by=by, label=label, database=database)
    return shapes.NewSnapshotSerializer(shapes.new_snapshot(stored)).data


def run_due(*, by: str, database: str | None = None) -> Any:
    """Do the scheduled backup that is due."""
    return asdict(run.run_due(database=database))


WORK: Mapping[str, Callable[..., Any]] = {"run-due": run_due, "store": store}


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
                lambda: work(by=found.by, database=database, **arguments),
                database=database,
            )
