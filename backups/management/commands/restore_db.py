"""``manage.py restore_db``: put a snapshot back, look at what came of it, discard it, undo it."""

from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from backups import services
from backups.management.base import StoreCommand, megabytes
from backups.management.progress import progress_bar
from backups.management.targets import Json, LocalTarget, Target, open_target

AT_RESTART = (
    "Nothing changes until its server is restarted. That start puts the snapshot in place of the"
    " current database, and keeps the current one beside it."
)
AT_ONCE = (
    "It takes effect at once, for everybody who uses the site. The current content is kept beside"
    " the database first, as <database>.pre-restore-<time>."
)
GO_BACK = "manage.py restore_db --undo"


class Command(StoreCommand):
    """Stages; the next start of the server applies, or ``--now`` does."""

    help = (
        "Checks a snapshot and stages it. The next start of the server puts it in place of the"
        " current database, which is kept. With --now its content is live at once, without a"
        " restart, if that can be done."
    )
    # A server that has the whole upload goes on to check it and to stage it.
    when_interrupted = "See what is pending with --status."

    def add_arguments(self, parser: CommandParser) -> None:
        """A path, or one of the options that stand for another verb, and which store."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("path", metavar="PATH", nargs="?", help="the snapshot to put back")
        what.add_argument("--undo", action="store_true", help="put back what the last one replaced")
        what.add_argument("--status", action="store_true", help="show what is pending, and stop")
        what.add_argument(
            "--list", action="store_true", dest="kept", help="show the kept copies, and stop"
        )
        what.add_argument("--discard", action="store_true", help="forget what is pending")
        parser.add_argument(
            "--now",
            action="store_true",
            help="without a restart: with PATH or --undo, or alone for what is pending",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")
        self.add_store_arguments(parser)
        self._refuse_usage = parser.error

    def handle(
        self,
        *args: Any,
        path: str | None,
        undo: bool,
        status: bool,
        kept: bool,
        discard: bool,
        now: bool,
        yes: bool,
        url: str | None,
        local: bool,
        **options: Any,
    ) -> None:
        """Do the one thing that was asked for."""
        if now and (status or kept or discard):
            self._refuse_usage("argument --now: only with PATH or --undo, or alone")
        if not (path or undo or status or kept or discard or now):
            self._refuse_usage("PATH or one of the options is required")
        with open_target(url, local=local) as target:
            if status:
                self._show(target.get_restore_status(), target.where)
            elif kept:
                self._list(target.list_restores()["kept"], target.where)
            elif discard:
                self._discard(target, yes=yes)
            elif undo:
                self._undo(target, now=now, yes=yes)
            elif path:
                self._stage(target, Path(path), now=now, yes=yes)
            else:
                self._apply_pending(target, yes=yes)

    # Stage

    def _stage(self, target: Target, path: Path, *, now: bool, yes: bool) -> None:
        services.check_not_live(path)
        with _open(path) as snapshot:
            _check_is_one_file(path)
            size = path.stat().st_size
            self._explain(f"{path} ({megabytes(size)})", target, now=now)
            self._confirm("Apply it now?" if now else "Stage it?", yes=yes)
            with progress_bar("Staging", size) as progress:
                answer = target.stage_restore(snapshot, now=now, progress=progress)
        self._report(answer)

    def _undo(self, target: Target, *, now: bool, yes: bool) -> None:
        if kept := _kept_by_last(target):
            self._explain(f"What the last restore replaced, {kept},", target, now=now)
            self._confirm("Apply it now?" if now else "Stage it?", yes=yes)
        self._report(target.undo_restore(now=now))

    def _apply_pending(self, target: Target, *, yes: bool) -> None:
        if not isinstance(target, LocalTarget):
            raise CommandError(
                f"{target.where} applies at once only what comes with the request: name the"
                " snapshot, or --undo, beside --now; or restart the server."
            )
        pending = target.get_restore_status()
        if pending["status"] == "pending":
            what = f"What {pending['staged_by']} staged at {pending['staged_at']}"
            self.say(f"{what} will be applied on {target.where}.\n{AT_ONCE}")
            self._confirm("Apply it now?", yes=yes)
        self._report(target.apply_now())

    def _explain(self, what: str, target: Target, *, now: bool) -> None:
        verbs = "checked, staged and applied" if now else "checked and staged"
        self.say(f"{what} will be {verbs} on {target.where}.\n{AT_ONCE if now else AT_RESTART}")
        before = target.get_restore_status()
        if before["status"] == "pending":
            self.say(
                f"It replaces the restore that {before['staged_by']} staged at"
                f" {before['staged_at']}."
            )

    def _report(self, answer: Json) -> None:
        if answer["status"] == "applied":
            self.stdout.write(
                f"Applied: {megabytes(answer['size'])}, SHA-256 {answer['sha256']}\n"
                f"It is live for every process since {answer['at']}.\n"
                f"The content that it replaced is kept as {answer['kept']}."
                f" To go back: {GO_BACK}"
            )
            return
        self.stdout.write(
            f"Pending: {megabytes(answer['size'])}, SHA-256 {answer['sha256']}\n"
            f"{answer['next_start']}\n"
            "Restart the server to apply."
        )

    # Status

    def _show(self, status: Json, where: str) -> None:
        if status["status"] == "pending":
            self.stdout.write(
                f"Pending on {where}: {megabytes(status['size'])}, SHA-256 {status['sha256']},"
                f" staged by {status['staged_by']} at {status['staged_at']}.\n"
                f"{status['next_start']}\n"
                "Restart the server to apply."
            )
        else:
            self.stdout.write(f"Nothing is pending on {where}.")
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
            words.append(f"To go back: {GO_BACK}")
        if last["kept"] and last["outcome"] == "refused":
            words.append(f"The snapshot is set aside as {last['kept']}.")
        self.stdout.write(" ".join(words))

    # Kept copies

    def _list(self, kept: list[Json], where: str) -> None:
        """One line for each: its name, its size, when it was kept."""
        if not kept:
            self.say(f"Nothing is kept on {where}.")
            return
        names, sizes = [copy["name"] for copy in kept], [megabytes(copy["size"]) for copy in kept]
        for copy, name, size in zip(kept, names, sizes, strict=True):
            raw = "" if copy["is_database"] else "  a folder of what SQLite could not read"
            self.stdout.write(
                f"{name:<{max(map(len, names))}}  {size:>{max(map(len, sizes))}}"
                f"  {copy['kept_at']}{raw}"
            )

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


def _kept_by_last(target: Target) -> str | None:
    """The name of what an undo would stage; None if that has to fail."""
    restores = target.list_restores()["restores"]
    applied = (receipt["kept"] for receipt in restores if receipt["outcome"] == "applied")
    return next(applied, None)


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
