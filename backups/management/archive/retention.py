"""``manage.py backups prune`` and ``delete``: which stored snapshots go."""

from argparse import ArgumentParser
from typing import Any

from backups.management.archive.listing import describe
from backups.management.archive.targets import open_archive, open_local_archive
from backups.management.archive.verb import Verb, add_id, as_json
from backups.management.targets import Json


class Prune(Verb):
    """Deletes the stored snapshots that no rule of BACKUPS_KEEP keeps. Says why each one stays."""

    name = "prune"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be done, and why"
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for a program")

    def run(self, *args: Any, dry_run: bool, json: bool, **options: Any) -> None:
        with open_local_archive(**options) as archive:
            answer = archive.prune(dry_run=dry_run)
        if json:
            self.print(as_json(answer), what="the verdicts")
        elif not answer["verdicts"]:
            self.command.say(f"Nothing is stored in {answer['where']} yet.")
        elif not self.command.is_quiet:
            self.command.tell(f"{_table(answer['verdicts'])}\n{_summary(answer, dry_run)}")


class Delete(Verb):
    """Deletes a stored snapshot. One that is held, in use, or the last good one is not deleted."""

    name = "delete"

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--force", action="store_true", help="even if it is the last good one")

    def run(
        self,
        *args: Any,
        id: str,  # noqa: A002  # as it is on the command line
        yes: bool,
        force: bool,
        **options: Any,
    ) -> None:
        with open_archive(**options) as archive:
            stored = archive.get(id, even_lost=True)
            if not yes:
                self.command.say(describe(stored))
            self.command.confirm("Delete it for good?", yes=yes)
            archive.delete(stored["id"], force=force)
        if not self.command.is_quiet:
            self.command.tell(f"Deleted {stored['name']}.")


def _table(verdicts: list[Json]) -> str:
    """An aligned line for each: its id, whether it stays, and why."""
    width = max(len(each["id"]) for each in verdicts)
    return "\n".join(
        f"{each['id']:<{width}}  {'keep' if each['kept'] else 'delete':<6}"
        f"  {', '.join(each['reasons'])}"
        for each in verdicts
    )


def _count(verdicts: list[Json]) -> str:
    return "1 snapshot" if len(verdicts) == 1 else f"{len(verdicts)} snapshots"


def _summary(answer: Json, dry_run: bool) -> str:
    """How many stayed and went, and each that the storage refused to delete."""
    verdicts = answer["verdicts"]
    kept = sum(each["kept"] for each in verdicts)
    if dry_run:
        return f"\nOf {_count(verdicts)}, {kept} would stay. A dry run deletes nothing."
    deleted = sum(each["deleted"] for each in verdicts)
    words = f"{deleted or 'none'} {'was' if deleted < 2 else 'were'} deleted"
    lines = [f"\nOf {_count(verdicts)} in {answer['where']}, {words}; {kept} stay."]
    if refused := [each for each in verdicts if each["refusal"]]:
        lines.append(f"{len(refused)} could not be deleted. The next prune tries again:")
        lines += [f"{each['id']}  {each['refusal']}" for each in refused]
    return "\n".join(lines)
