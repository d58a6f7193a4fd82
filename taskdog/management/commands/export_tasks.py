"""``manage.py export_tasks``: the tasks as JSON, CSV or a Markdown table."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from backups import services as backups
from backups.disk import atomic_file
from backups.management.base import StoreCommand
from backups.management.output import printing
from taskdog.exceptions import TaskdogError
from taskdog.moments import read_date
from taskdog.tasks.exports import DEFAULT_FIELDS, FIELDS, FORMATS, export
from taskdog.tasks.models import TaskStatus
from taskdog.tasks.selectors import stream_tasks
from taskdog.transactions import one_moment

STDOUT = "-"


class Command(StoreCommand):
    """The same text as ``taskdog export`` makes, of the store as it is at one moment."""

    help = (
        "Exports the tasks that are not archived, by id, as 'taskdog export' does. For a copy of"
        " everything, to be put back one day, take a snapshot: manage.py backup."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options: those of ``taskdog export``."""
        parser.add_argument("--format", choices=[*FORMATS], default="json", dest="format_")
        parser.add_argument(
            "-o",
            "--output",
            metavar="PATH",
            default=STDOUT,
            help="a file, which appears when it is whole; default: standard output, as is -",
        )
        parser.add_argument("--force", action="store_true", help="replace a file that exists")
        parser.add_argument(
            "-f",
            "--fields",
            type=_fields,
            default=DEFAULT_FIELDS,
            help=f"columns, separated by commas: {', '.join(FIELDS)}",
        )
        parser.add_argument(
            "-a", "--all", action="store_true", dest="include_archived", help="archived ones too"
        )
        parser.add_argument(
            "--status", type=str.upper, choices=TaskStatus.values, help="only those of this status"
        )
        parser.add_argument(
            "-t",
            "--tag",
            action="append",
            dest="tags",
            default=[],
            help="only those with this tag, or one of these, if it is repeated",
        )
        parser.add_argument(
            "-s",
            "--start-date",
            type=_date,
            dest="start",
            help="only those with a date on this day or later",
        )
        parser.add_argument(
            "-e",
            "--end-date",
            type=_date,
            dest="end",
            help="only those with a date on this day or earlier",
        )

    def handle(
        self,
        *args: Any,
        format_: str,
        output: str,
        force: bool,
        fields: tuple[str, ...],
        include_archived: bool,
        status: str | None,
        tags: list[str],
        start: date | None,
        end: date | None,
        **options: Any,
    ) -> None:
        """Read the store as it is now, and write the text while it is read."""
        with one_moment():
            tasks = _Counted(
                stream_tasks(
                    include_archived=include_archived,
                    status=status,
                    tags=tags,
                    start=start,
                    end=end,
                )
            )
            text = export(tasks, format_=format_, fields=fields)
            if output == STDOUT:
                self._print(text)
            else:
                backups.check_not_own(Path(output))
                atomic_file.save(map(str.encode, text), Path(output), overwrite=force)
        if output != STDOUT:
            self.tell(f"Exported {tasks.count} tasks to {output}")

    def _print(self, text: Iterable[str]) -> None:
        with printing("the export", self.stdout):
            for piece in text:
                sys.stdout.buffer.write(piece.encode())
            sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()


class _Counted:
    """Passes on what it is given, and counts it."""

    def __init__(self, tasks: Iterable[Any]) -> None:
        self._tasks = tasks
        self.count = 0

    def __iter__(self) -> Iterator[Any]:
        for task in self._tasks:
            self.count += 1
            yield task


def _fields(words: str) -> tuple[str, ...]:
    if not words.strip():
        return DEFAULT_FIELDS
    fields = tuple(word.strip() for word in words.split(","))
    if unknown := [name for name in fields if name not in FIELDS]:
        raise argparse.ArgumentTypeError(
            f"unknown column: {', '.join(unknown)}; the columns are: {', '.join(FIELDS)}"
        )
    return fields


def _date(words: str) -> date | None:
    try:
        return read_date(words)
    except TaskdogError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
