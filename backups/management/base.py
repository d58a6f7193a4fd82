"""What both commands share: which store, and how they end when something is wrong."""

import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backups.exceptions import BackupError

INTERRUPTED = 130  # what a shell reports for Ctrl-C: 128 + SIGINT
STOPPING = (signal.SIGTERM, signal.SIGHUP)  # kill, and a terminal that is closed


class StoreCommand(BaseCommand):
    """A command that works on this machine's store or on a server's."""

    # A check that fails must not keep anybody from saving, or bringing back, their data.
    requires_system_checks = []  # noqa: RUF012
    requires_migrations_checks = False

    when_interrupted = "Nothing was left behind."

    def add_store_arguments(self, parser: CommandParser) -> None:
        """``--url`` and ``--local``."""
        store = parser.add_mutually_exclusive_group()
        store.add_argument(
            "--url",
            help="work on the server at this URL, such as https://tasks.example.org,"
            " and not on this machine's store",
        )
        store.add_argument(
            "--local",
            action="store_true",
            help="work on this machine's store, whatever the environment says",
        )

    def say(self, words: str, *, ending: str | None = None) -> None:
        """Tell a person, on standard error and not in the red that Django has for errors."""
        self.stderr.write(words, _plain, ending)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Every error of ours ends the command with its message, its hint and an exit code."""
        if isinstance(sys.stdout, io.TextIOWrapper):  # or some names of files can't be printed
            sys.stdout.reconfigure(errors="surrogateescape")
        try:
            with _terminated_as_interrupted():
                return super().execute(*args, **options)
        except BackupError as error:
            raise CommandError(f"{error} {error.hint}".strip()) from error
        except KeyboardInterrupt:
            raise CommandError(
                f"Interrupted. {self.when_interrupted}", returncode=INTERRUPTED
            ) from None
        except OSError as error:  # a path that the system refuses to look at
            raise CommandError(f"{error}.") from error


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """
    ``kill`` and a closed terminal clean up as Ctrl-C does, or they would leave a part of a file.
    What is ignored, as ``nohup`` asks for, stays ignored.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
    try:
        before = {number: signal.signal(number, interrupt) for number in numbers}
    except ValueError:  # not the main thread: the host program's signals are not ours
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def megabytes(size: int | None) -> str:
    """``12.3 MB``, for a person to read."""
    return "unknown size" if size is None else f"{size / 1e6:,.1f} MB"


def _plain(words: str) -> str:
    return words
