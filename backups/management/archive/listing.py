"""``manage.py backups list`` and ``show``: which snapshots are stored."""

from argparse import ArgumentParser
from typing import Any

from backups.archive.manifest import in_words
from backups.disk.sizes import size_in_words
from backups.management.archive.targets import open_archive
from backups.management.archive.verb import Verb, add_id, as_json
from backups.management.targets import Json


class List(Verb):
    """Lists the stored snapshots, the newest first."""

    name = "list"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON, for a program")

    def run(self, *args: Any, json: bool, **options: Any) -> None:
        with open_archive(**options) as archive:
            answer = archive.list()
            where = archive.where
        if not answer["backups"] and not answer["missing"] and not json:
            self.command.say(f"Nothing is stored in {answer['where']} yet ({where}).")
            return
        self.print(as_json(answer) if json else _text(answer), what="the list")


class Show(Verb):
    """Shows all that is known of a stored snapshot, as JSON."""

    name = "show"

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)

    def run(self, *args: Any, id: str, **options: Any) -> None:  # noqa: A002  # as it is on the command line
        with open_archive(**options) as archive:
            answer = archive.get(id)
        self.print(as_json(answer), what="the snapshot")


def _text(answer: Json) -> str:
    gone = [f"{name} is missing: only its manifest is left." for name in answer["missing"]]
    return "\n".join([*filter(None, [_table(answer["backups"])]), *gone])


def _table(snapshots: list[Json]) -> str:
    """An aligned line for each: its id, its size, who stored it, what is known of it."""
    rows = [_row(each) for each in snapshots]
    if not rows:
        return ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}"
        for row in rows
    )


def describe(snapshot: Json) -> str:
    """A stored snapshot, in a line."""
    return "  ".join(_row(snapshot))


def _row(snapshot: Json) -> tuple[str, str, str, str]:
    return (
        snapshot["id"],
        size_in_words(snapshot["size"]),
        snapshot["by"] or "unknown",
        ", ".join(filter(None, [_verdict(snapshot), _notes(snapshot)])),
    )


def _verdict(snapshot: Json) -> str:
    if snapshot["problem"]:
        return str(snapshot["problem"]).rstrip(".")
    verification = snapshot["verification"]
    if verification is None:
        return "not verified"
    word = "verified" if verification["outcome"] == "restorable" else "tried"
    # ``show`` says why.
    return f"{in_words(verification['outcome'])} ({word} at {verification['at']})"


def _notes(snapshot: Json) -> str:
    notes = []
    if snapshot["encrypted"]:
        notes.append("encrypted")
    if snapshot["label"]:
        notes.append(f"label {snapshot['label']}")
    if media := snapshot["media"]:
        lost = (
            not media["files"] and media["warnings"]
        )  # they could not be stored; ``show`` says why
        notes.append("without its media files" if lost else f"{media['files']:,} media files")
    if hold := snapshot["hold"]:
        notes.append(f"held by {hold['by']}" + (f" ({hold['reason']})" if hold["reason"] else ""))
    return ", ".join(notes)
