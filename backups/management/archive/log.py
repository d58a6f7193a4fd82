"""``manage.py backups log``: what happened to stored snapshots."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from backups.archive.manifest import in_words
from backups.archive.receipts import ArchiveReceipt
from backups.disk.sizes import size_in_words
from backups.management.archive.targets import open_local_archive
from backups.management.archive.verb import Verb, as_json

SHOWN = 50  # receipts, by default


class Log(Verb):
    """Lists what happened to stored snapshots, the newest first."""

    name = "log"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--limit",
            type=int,
            default=SHOWN,
            metavar="N",
            help=f"how many lines; default: {SHOWN}; 0 for all",
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for a program")

    def run(self, *args: Any, limit: int, json: bool, **options: Any) -> None:
        with open_local_archive(**options) as archive:
            receipts = archive.list_receipts()[: limit or None]
        if not receipts and not json:
            self.command.say("Nothing has happened to stored snapshots yet.")
            return
        words = as_json([asdict(each) for each in receipts]) if json else _lines(receipts)
        self.print(words, what="the log")


def _lines(receipts: Sequence[ArchiveReceipt]) -> str:
    return "\n".join(map(_line, receipts))


def _line(receipt: ArchiveReceipt) -> str:
    """``2026-11-26T03:00:02+00:00  stored  20261126-030000  by schedule, 1.2 MB``."""
    notes = [
        f"by {receipt.by}" if receipt.by else "",
        size_in_words(receipt.size) if receipt.size is not None else "",
        in_words(receipt.outcome or ""),
    ]
    words = ", ".join(filter(None, notes))
    reason = f": {receipt.reason}" if receipt.reason else ""
    return f"{receipt.at}  {receipt.what:<8}  {receipt.snapshot or '-':<15}  {words}{reason}"
