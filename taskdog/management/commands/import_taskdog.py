"""``manage.py import_taskdog``: bring in the data of taskdog's own server."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from backups import services as backups
from backups.exceptions import BackupError
from backups.management.output import tell
from taskdog.exceptions import TaskdogError
from taskdog.imports.services import Imported, import_database


class Command(BaseCommand):
    """All of it comes over in one transaction, or nothing does."""

    help = (
        "Reads a database of taskdog's own server, of any revision, and brings its tasks, tags,"
        " notes, dependencies, allocations and audit log into this site's empty store, ids and"
        " times kept. The file is not written to."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the path and the option."""
        parser.add_argument(
            "path",
            metavar="PATH",
            type=Path,
            help="its tasks.db, e.g. ~/.local/share/taskdog/tasks.db, or a backup of it",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be imported, and change nothing"
        )

    def handle(self, *, path: Path, dry_run: bool, **options: Any) -> None:
        """Import, then tell what came over and what is not as it was."""
        try:
            backups.check_not_live(path)
            imported = import_database(path, scratch=settings.TASKDOG_DATA_DIR, dry_run=dry_run)
        except BackupError as error:
            raise CommandError(f"{error} {error.hint}") from error
        except (TaskdogError, DatabaseError, OSError) as error:
            raise CommandError(f"Nothing was imported. {error}") from error
        tell(_summary(imported, path, dry_run=dry_run), self.stdout, self.stderr)


def _summary(imported: Imported, path: Path, *, dry_run: bool) -> str:
    verb = "Would import" if dry_run else "Imported"
    lines = [f"{verb} from {path} ({imported.revision}):"]
    lines += [f"  {count:>9,}  {table}" for table, count in imported.counts.items()]
    if imported.changes:
        lines.append(f"Changed on the way, {len(imported.changes):,} in all:")
        lines += [f"  {change}" for change in imported.changes]
    return "\n".join(lines)
