"""What the commands share: the choice of a store, and how they end on an error."""

import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from backups.archive.jobs import NICE
from backups.exceptions import BackupError, InsecureServerError
from backups.management.output import tell
from backups.processes import limits

WRONG_USAGE = 2  # as argparse's own exit code
INTERRUPTED = 130  # what a shell reports for Ctrl-C: 128 + SIGINT
STOPPING = (signal.SIGTERM, signal.SIGHUP)  # from kill, and from a terminal that is closed


class StoreCommand(BaseCommand):
    """A command that works on this machine's store, on a server's, or on what is beside it."""

    # A system check that fails must not stop anybody from saving or restoring their data, or from
    # revoking a key; and the first key is made before there is a database, which some checks need.
    requires_system_checks = []  # noqa: RUF012
    requires_migrations_checks = False

    when_interrupted = "Nothing was left behind."
    is_quiet = False

    def add_store_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--database",
            metavar="ALIAS",
            help="the alias in DATABASES, where this machine has several; default:"
            " BACKUPS_DATABASE",
        )
        store = parser.add_mutually_exclusive_group()
        store.add_argument(
            "--url",
            help="work on the server at this URL, and not on this machine's store:"
            " https://tasks.example.org, whose API is at /api/v1; or, with a path, the place"
            " where backups.urls is included",
        )
        store.add_argument(
            "--local",
            action="store_true",
            help="work on this machine's store, even if BACKUPS_REMOTE_URL is set",
        )
        parser.add_argument(
            "--insecure",
            action="store_true",
            help="send the API key to another machine in plain http: others can read it there",
        )

    def say(self, words: str, *, ending: str | None = None) -> None:
        """Write to standard error, but without Django's red for errors."""
        self.stderr.write(words, str, ending)

    def inform(self, words: str) -> None:
        """Say something that needs no action; nothing with ``-v 0``."""
        if not self.is_quiet:
            self.say(words)

    def tell(self, words: str) -> None:
        """Print the outcome, as ``output.tell``."""
        tell(words, self.stdout, self.stderr)

    def let_others_first(self) -> None:
        """Take low priority, as a job does, if this process is only for the command."""
        if self._called_from_command_line:  # type: ignore[attr-defined]
            limits.be_nice(NICE)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask, unless ``yes``. :raises CommandError: the answer was no, or nobody can answer."""
        if yes:
            return
        self.say(f"{question} [y/N] ", ending="")
        self.stderr.flush()
        try:
            answer = input()
        except (EOFError, RuntimeError):  # standard input is at its end, or closed (<&-)
            raise CommandError("Nobody can answer here: pass --yes.") from None
        if answer.strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """End with the message, the hint and an exit code on each error of this app."""
        self.is_quiet = options.get("verbosity") == 0
        self._open_closed_streams()
        if isinstance(sys.stdout, io.TextIOWrapper):  # to print any file name
            sys.stdout.reconfigure(errors="surrogateescape")
        try:
            with _terminated_as_interrupted(), _quiet_logs(self.is_quiet):
                return super().execute(*args, **options)
        except InsecureServerError as error:
            raise CommandError(f"{error} {error.hint}", returncode=WRONG_USAGE) from error
        except BackupError as error:
            raise CommandError(f"{error} {error.hint}".strip()) from error
        except KeyboardInterrupt:
            raise CommandError(
                f"Interrupted. {self.when_interrupted}", returncode=INTERRUPTED
            ) from None
        except OSError as error:  # a path that the system refuses to look at
            raise CommandError(f"{str(error).rstrip('.')}.") from error

    def _open_closed_streams(self) -> None:
        """A stream that the shell closed (``>&-``) is None in Python. Discard its output."""
        if sys.stderr is None:
            self.stderr = OutputWrapper(_nowhere())


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # for the process's life


@contextmanager
def _quiet_logs(is_quiet: bool) -> Iterator[None]:
    """Show only warnings and errors on the terminal. A log file still gets everything."""
    consoles = [
        handler
        for handler in (*logging.getLogger().handlers, *logging.getLogger("backups").handlers)
        if is_quiet and getattr(handler, "stream", None) in (sys.stderr, sys.stdout)
    ]
    for handler in consoles:
        handler.addFilter(_is_warning)
    try:
        yield
    finally:
        for handler in consoles:
            handler.removeFilter(_is_warning)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """
    Let ``kill`` and a closed terminal clean up as Ctrl-C does; otherwise part of a file would stay.
    A signal that is ignored, e.g. under ``nohup``, stays ignored.
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
