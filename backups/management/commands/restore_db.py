"""``manage.py restore_db``: stage a snapshot, look at what is pending, or discard it."""

from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from backups import services
from backups.management.base import StoreCommand, megabytes
from backups.management.progress import progress_bar
from backups.management.targets import Json, Target, open_target


class Command(StoreCommand):
    """Stages only: the next start of the server applies."""

    help = (
        "Checks a snapshot and stages it. The next start of the server puts it in place of the"
        " current database, which is kept."
    )
    # A server that has the whole upload goes on to check it and to stage it.
    when_interrupted = "See what is pending with --status."

    def add_arguments(self, parser: CommandParser) -> None:
        """A path, or one of ``--status`` and ``--discard``, and which store."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("path", metavar="PATH", nargs="?", help="the snapshot to put back")
        what.add_argument("--status", action="store_true", help="show what is pending, and stop")
        what.add_argument("--discard", action="store_true", help="forget what is pending")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        self.add_store_arguments(parser)

    def handle(
        self,
        *args: Any,
        path: str | None,
        status: bool,
        discard: bool,
        yes: bool,
        url: str | None,
        local: bool,
        **options: Any,
    ) -> None:
        """Do the one thing that was asked for."""
        with open_target(url, local=local) as target:
            if status:
                self._show(target.get_restore_status(), target.where)
            elif discard:
                self._discard(target, yes=yes)
            else:
                self._stage(target, Path(path or ""), yes=yes)

    # Stage

    def _stage(self, target: Target, path: Path, *, yes: bool) -> None:
        services.check_not_live(path)
        with _open(path) as snapshot:
            _check_is_one_file(path)
            size = path.stat().st_size
            self._explain(target, path, size)
            self._confirm("Stage it?", yes=yes)
            with progress_bar("Staging", size) as progress:
                pending = target.stage_restore(snapshot, progress=progress)
        self._report(pending)

    def _explain(self, target: Target, path: Path, size: int) -> None:
        self.say(
            f"{path} ({megabytes(size)}) will be checked and staged on {target.where}.\n"
            "Nothing changes until its server is restarted. That start puts the snapshot in"
            " place of the current database, and keeps the current one beside it."
        )
        now = target.get_restore_status()
        if now["status"] == "pending":
            self.say(
                f"It replaces the restore that {now['staged_by']} staged at {now['staged_at']}."
            )

    def _report(self, pending: Json) -> None:
        self._warn(pending)
        self.stdout.write(
            f"Pending: {megabytes(pending['size'])}, SHA-256 {pending['sha256']}\n"
            f"{pending['next_start']}\n"
            "Restart the server to apply."
        )

    def _warn(self, pending: Json) -> None:
        for warning in pending.get("warnings", ()):  # a server of an older release sends none
            self.say(f"Warning: {warning}")

    # Status

    def _show(self, status: Json, where: str) -> None:
        if status["status"] == "pending":
            self._warn(status)
            self.stdout.write(
                f"Pending on {where}: {megabytes(status['size'])}, SHA-256 {status['sha256']},"
                f" staged by {status['staged_by']} at {status['staged_at']}.\n"
                f"{status['next_start']}\n"
                "Restart the server to apply."
            )
        else:
            self.stdout.write(f"Nothing is pending on {where}.")
        if waiting_for := status.get("waiting_for"):  # an older server does not tell
            self.stdout.write(f"Waiting for: {', '.join(waiting_for)}")
        else:
            for other in status["in_use_by"]:
                self.stdout.write(f"In use by {other}.")
        self._show_last(status["last"])

    def _show_last(self, last: Json | None) -> None:
        if last is None:
            self.stdout.write("No restore has been applied yet.")
            return
        words = [f"Last restore: {last['outcome']} at {last['at']}."]
        if last["reason"]:
            words.append(last["reason"])
        if last["kept"] and last["outcome"] == "applied":
            words.append(f"The database that it replaced is kept as {last['kept']}.")
        if last["kept"] and last["outcome"] == "refused":
            words.append(f"The snapshot is set aside as {last['kept']}.")
        self.stdout.write(" ".join(words))

    # Discard

    def _discard(self, target: Target, *, yes: bool) -> None:
        self._confirm(f"Discard what is pending on {target.where}?", yes=yes)
        discarded = target.discard_pending_restore()
        self.stdout.write(f"Discarded the pending restore (SHA-256 {discarded['sha256']}).")

    def _confirm(self, question: str, *, yes: bool) -> None:
        if yes:
            return
        self.say(f"{question} [y/N] ", ending="")
        self.stderr.flush()
        try:
            answer = input()
        except EOFError:
            raise CommandError("Nobody is there to answer: pass --yes.") from None
        if answer.strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was changed.")


def _check_is_one_file(path: Path) -> None:
    """A copied database may have its newest rows beside it; staged alone it would lose them."""
    for suffix in ("-wal", "-journal"):
        sidecar = path.with_name(path.name + suffix)
        if sidecar.exists() and sidecar.stat().st_size:
            raise CommandError(
                f"{path} is not the whole of it: rows are in {sidecar.name} beside it. Make one"
                f" file of the two first: sqlite3 {path} \"VACUUM INTO '{path}.whole'\""
            )


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.") from error
