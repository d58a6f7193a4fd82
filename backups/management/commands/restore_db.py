"""``manage.py restore_db``: put a snapshot back, show the outcome, discard it, or undo it."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from backups.disk.sizes import size_in_words
from backups.exceptions import BackupError
from backups.management import wording
from backups.management.archive.targets import Archive, archive_of
from backups.management.base import StoreCommand
from backups.management.incoming import STDIN, Incoming, open_incoming
from backups.management.progress import progress_bar
from backups.management.targets import Json, LocalTarget, Target, in_our_form, open_target
from backups.store import DEFECTS, FOREIGN


class Command(StoreCommand):
    """Stages a snapshot. The next start of the server applies it, or ``--now`` does."""

    help = (
        "Checks a snapshot and stages it. The next start of the server puts it in place of the"
        " current database, which is kept. With --now its content is live at once, without a"
        " restart, if that can be done."
    )
    # A server that has the whole upload still checks it and stages it.
    when_interrupted = "See what is pending with --status."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "path", metavar="PATH", nargs="?", help="the snapshot to put back; - for standard input"
        )
        what.add_argument(
            "--from",
            metavar="ID",
            dest="stored",
            help="put back a stored snapshot: its id or name, or latest; see manage.py backups"
            " list",
        )
        what.add_argument(
            "--undo", action="store_true", help="put back what the last restore replaced"
        )
        what.add_argument("--status", action="store_true", help="show what is pending, and stop")
        what.add_argument(
            "--list", action="store_true", dest="kept", help="show the kept copies, and stop"
        )
        what.add_argument(
            "--downloads", action="store_true", help="show who has taken snapshots, and stop"
        )
        what.add_argument("--discard", action="store_true", help="discard what is pending")
        parser.add_argument(
            "--now",
            action="store_true",
            help="apply without a restart: with PATH, --from or --undo, or alone for what is"
            " pending",
        )
        parser.add_argument(
            "--identity",
            metavar="FILE",
            type=Path,
            help="with --from: the file with the secret key; default: BACKUPS_IDENTITY_FILE",
        )
        accept: dict[str, Any] = {"dest": "accept", "action": "append_const", "default": []}
        parser.add_argument(
            "--accept-defects",
            const=DEFECTS,
            help="with PATH or --from: accept a snapshot whose rows break rules of its schema",
            **accept,
        )
        parser.add_argument(
            "--accept-foreign",
            const=FOREIGN,
            help="with PATH or --from: accept a database that has nothing of this project's own"
            " apps",
            **accept,
        )
        parser.add_argument("--yes", action="store_true", help="do not ask")
        self.add_store_arguments(parser)
        self._refuse_usage = parser.error
        self._warned: list[str] = []

    def handle(
        self,
        *args: Any,
        path: str | None,
        stored: str | None,
        identity: Path | None,
        undo: bool,
        status: bool,
        kept: bool,
        downloads: bool,
        discard: bool,
        now: bool,
        accept: Collection[str],
        yes: bool,
        database: str | None,
        url: str | None,
        local: bool,
        insecure: bool,
        **options: Any,
    ) -> None:
        if now and (status or kept or downloads or discard):
            self._refuse_usage("argument --now: only with PATH, --from or --undo, or alone")
        if accept and not (path or stored):
            self._refuse_usage(
                "arguments --accept-defects and --accept-foreign: only with PATH or --from"
            )
        if identity and not stored:
            self._refuse_usage("argument --identity: only with --from")
        if not (path or stored or undo or status or kept or downloads or discard or now):
            self._refuse_usage("PATH or one of the options is required")
        with (
            open_target(url, local=local, database=database, insecure=insecure) as target,
            in_our_form(target),
        ):
            if status:
                self._show(target)
            elif kept:
                self._list(target)
            elif downloads:
                self._tell_downloads(target)
            elif discard:
                self._discard(target, yes=yes)
            elif undo:
                self._undo(target, now=now, yes=yes)
            elif path:
                self._stage(target, path, now=now, accept=accept, yes=yes)
            elif stored:
                archive = archive_of(target, database)
                self._stage_stored(
                    target, archive, stored, identity, now=now, accept=accept, yes=yes
                )
            else:
                self._apply_pending(target, yes=yes)

    # Stage

    def _stage(
        self, target: Target, path: str, *, now: bool, accept: Collection[str], yes: bool
    ) -> None:
        if path == STDIN and not yes:
            raise CommandError("Standard input is the snapshot and can't answer: pass --yes.")
        with open_incoming(path) as incoming:
            self._explain(f"{incoming.name} ({size_in_words(incoming.size)})", target, now=now)
            if not yes:
                self._warn({"warnings": incoming.warnings})
            self.confirm("Apply it now?" if now else "Stage it?", yes=yes)
            answer = self._send(target, incoming, now=now, accept=accept)
            self._tell(answer, incoming)

    def _send(
        self, target: Target, incoming: Incoming, *, now: bool, accept: Collection[str]
    ) -> Json:
        try:
            with progress_bar("Staging", incoming.size, is_quiet=self.is_quiet) as progress:
                return target.stage_restore(incoming, now=now, accept=accept, progress=progress)
        except BackupError as error:
            error.hint = incoming.fill_in(error.hint)
            raise

    def _stage_stored(
        self,
        target: Target,
        archive: Archive,
        word: str,
        identity: Path | None,
        *,
        now: bool,
        accept: Collection[str],
        yes: bool,
    ) -> None:
        stored = archive.get(word)
        size = stored["database_size"]  # not known without a manifest
        self._explain(f"{stored['name']} ({size_in_words(size)})", target, now=now)
        self.confirm("Apply it now?" if now else "Stage it?", yes=yes)
        with progress_bar("Staging", size, is_quiet=self.is_quiet) as progress:
            answer = archive.restore(
                stored["id"], identity=identity, now=now, accept=accept, progress=progress
            )
        self._tell(answer)
        if (media := stored["media"]) and media["files"]:
            self.say(
                f"{media['files']:,} media files belong to it. Once it is live, put back those that"
                f" are missing: manage.py backups restore-media {stored['id']}"
            )

    def _undo(self, target: Target, *, now: bool, yes: bool) -> None:
        if kept := _kept_by_last(target):
            self._explain(f"What the last restore replaced, {kept},", target, now=now)
            self.confirm("Apply it now?" if now else "Stage it?", yes=yes)
        self._tell(target.undo_restore(now=now))

    def _apply_pending(self, target: Target, *, yes: bool) -> None:
        if not isinstance(target, LocalTarget):
            raise CommandError(
                f"{target.where} applies without a restart only what comes with the request:"
                " pass PATH or --undo with --now, or restart the server."
            )
        pending = target.get_restore_status()
        if pending["status"] == "pending":
            what = f"What {pending['staged_by']} staged at {pending['staged_at']}"
            self.inform(f"{what} will be applied on {target.where}.\n{wording.AT_ONCE}")
            self.confirm("Apply it now?", yes=yes)
        self._tell(target.apply_now(sha256=pending.get("sha256")))

    def _tell(self, answer: Json, incoming: Incoming | None = None) -> None:
        self._warn(answer, incoming)
        if not self.is_quiet:
            self.tell(wording.staged_or_applied(answer))

    def _warn(self, answer: Json, incoming: Incoming | None = None) -> None:
        for warning in answer.get("warnings", ()):  # none if nothing is pending
            words = incoming.fill_in(warning) if incoming else warning
            if words not in self._warned:  # it may stand in the answer too
                self._warned.append(words)
                self.say(f"Warning: {words}")

    def _explain(self, what: str, target: Target, *, now: bool) -> None:
        verbs = "checked, staged and applied" if now else "checked and staged"
        effect = wording.AT_ONCE if now else wording.AT_RESTART
        self.inform(f"{what} will be {verbs} on {target.where}.\n{effect}")
        before = target.get_restore_status()
        if before["status"] == "pending":
            self.inform(
                f"It replaces the restore that {before['staged_by']} staged at"
                f" {before['staged_at']}."
            )

    # Status, kept copies, discard

    def _show(self, target: Target) -> None:
        status = target.get_restore_status()
        self._warn(status)
        self.tell(wording.status(status, target.where))

    def _list(self, target: Target) -> None:
        if kept := target.list_restores()["kept"]:
            self.tell(wording.kept_copies(kept))
        else:
            self.say(f"Nothing is kept on {target.where}.")

    def _tell_downloads(self, target: Target) -> None:
        if downloads := target.list_restores()["downloads"]:
            self.tell(wording.downloads(downloads))
        else:
            self.say(f"No download is recorded on {target.where}.")

    def _discard(self, target: Target, *, yes: bool) -> None:
        self.confirm(f"Discard what is pending on {target.where}?", yes=yes)
        discarded = target.discard_pending_restore()
        if not self.is_quiet:
            digest = f" (SHA-256 {discarded['sha256']})" if discarded["sha256"] else ""
            self.tell(f"Discarded the pending restore{digest}.")


def _kept_by_last(target: Target) -> str | None:
    """The name of the kept copy that an undo would stage; None if there is none."""
    restores = target.list_restores()["restores"]
    applied = (receipt["kept"] for receipt in restores if receipt["outcome"] == "applied")
    return next(applied, None)
