"""
The two stores that a command can work on: this machine's, and a remote server's.

Both answer in the API's JSON shapes, so the output is the same for both.
"""

import getpass
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from backups import services
from backups.api import serializers
from backups.client.server_words import shown_answer
from backups.conf import conf
from backups.exceptions import BadParameterError, ClientError
from backups.management.incoming import Incoming
from backups.management.progress import Bar
from backups.store import PendingRestore

if TYPE_CHECKING:
    from backups.client import BackupClient

Json = dict[str, Any]

NAMED_HERE = (
    "The server sent no name of the form <name>-backup-<time>.db: the file is named here, after the"
    " server's host and the time (UTC)."
)


class NamedSnapshot(NamedTuple):
    """A snapshot that arrives."""

    name: str
    method: str  # "compact", "pages" or "dump"; empty if the server does not say
    size: int | None  # bytes
    chunks: Iterable[bytes]
    defects: str = ""  # that the store has noticed, for a person to read
    is_from_server: bool = False  # so a server chose its name and size
    note: str = ""  # what to say if this name is used


class LocalTarget:
    """This machine's store, through the same services as the API."""

    def __init__(self, database: str | None = None) -> None:
        self._database = database  # an alias; None for BACKUPS_DATABASE
        self.where = f"this machine's database {database!r}" if database else "this machine's store"

    @contextmanager
    def create_snapshot(self, *, compact: bool | None, compress: bool) -> Iterator[NamedSnapshot]:
        if compress:
            raise BadParameterError(
                "--compress is for a download from a server, and nothing is downloaded here.",
                hint="Leave it out. To save space, compress the file afterwards.",
            )
        with services.create_snapshot(
            taken_by=user(), compact=compact, database=self._database
        ) as snapshot:
            name = services.snapshot_name(snapshot.taken_at, database=self._database)
            defects = services.describe_defects(snapshot.defects) if snapshot.defects else ""
            yield NamedSnapshot(name, snapshot.method, snapshot.size, snapshot, defects)

    def stage_restore(
        self, incoming: Incoming, *, now: bool, progress: Bar, accept: Collection[str] = ()
    ) -> Json:
        pending = services.stage_restore(
            incoming.chunks(progress),
            staged_by=user(),
            at_least=incoming.size or 0,
            database=self._database,
            accept=accept,
            tell=progress.tell,
        )
        return self.staged(pending, now=now)

    def undo_restore(self, *, now: bool) -> Json:
        pending = services.undo_restore(staged_by=user(), database=self._database)
        return self.staged(pending, now=now)

    def apply_now(self, *, sha256: str | None, warnings: Collection[str] = ()) -> Json:
        receipt = services.apply_now(applied_by=user(), sha256=sha256, database=self._database)
        return self._answer(serializers.AppliedRestoreSerializer, receipt, warnings=warnings)

    def get_restore_status(self) -> Json:
        status = services.get_restore_status(database=self._database)
        others = replace(status, present=status.present[1:])  # the first is this command itself
        return self._answer(serializers.RestoreStatusSerializer, others)

    def discard_pending_restore(self) -> Json:
        discarded = services.discard_pending_restore(discarded_by=user(), database=self._database)
        return self._answer(serializers.DiscardedRestoreSerializer, discarded)

    def list_restores(self) -> Json:
        found = {
            "restores": services.list_receipts(database=self._database),
            "kept": services.list_kept_copies(database=self._database),
            "downloads": services.list_downloads(database=self._database),
        }
        return self._answer(serializers.RestoresSerializer, found)

    def staged(self, pending: PendingRestore, *, now: bool) -> Json:
        """The answer about what was staged, once it is applied if ``now``."""
        if now:
            return self.apply_now(sha256=pending.sha256, warnings=pending.warnings)
        return self._answer(serializers.PendingRestoreSerializer, pending)

    def _answer(
        self, shape: type[serializers.AnswerSerializer], found: object, **context: object
    ) -> Json:
        """As a client gets it: safe for a terminal, since a process can give itself any name."""
        context["database"] = self._database
        answer: Json = shown_answer(shape(found, context=context).data)
        return answer


class RemoteTarget:
    """A server's store, over HTTP."""

    def __init__(self, client: "BackupClient") -> None:
        self.client = client
        self.where = client.base_url
        self.undo_restore = client.undo_restore
        self.get_restore_status = client.get_restore_status
        self.discard_pending_restore = client.discard_pending_restore
        self.list_restores = client.list_restores

    @contextmanager
    def create_snapshot(self, *, compact: bool | None, compress: bool) -> Iterator[NamedSnapshot]:
        with self.client.create_snapshot(compact=compact, compress=compress) as snapshot:
            defects = f"{snapshot.defects:,} in all" if snapshot.defects else ""
            yield NamedSnapshot(
                snapshot.name,
                snapshot.method,
                snapshot.size,
                snapshot,
                defects,
                is_from_server=True,
                note=NAMED_HERE if snapshot.is_named_here else "",
            )

    def stage_restore(
        self, incoming: Incoming, *, now: bool, progress: Bar, accept: Collection[str] = ()
    ) -> Json:
        with incoming.with_length() as snapshot:  # a request says how long its body is
            return self.client.stage_restore(snapshot, now=now, accept=accept, progress=progress)


Target = LocalTarget | RemoteTarget


@contextmanager
def open_target(
    url: str | None, *, local: bool, database: str | None = None, insecure: bool = False
) -> Iterator[Target]:
    """
    The store that the options and the settings name.

    :param insecure: allow sending the key in plain http; BACKUPS_REMOTE_INSECURE allows it only
        for the server in BACKUPS_REMOTE_URL.
    :raises InsecureServerError: the key would be sent in plain http without permission.
    :raises ClientError: a remote server is named, but there is no key for it, or a package that
        the client needs is not installed.
    :raises BadParameterError: both a remote server and a database of this machine are named.
    """
    url = "" if local else url or conf.remote_url
    if not url:
        yield LocalTarget(database)
        return
    if database:
        raise BadParameterError(
            f"--database is for this machine's databases; {url} chooses its own.",
            hint="Leave --database out, or pass --local to work on this machine.",
        )
    if not conf.remote_key and "@" not in url:
        raise ClientError(
            f"There is no API key for {url}.",
            hint="Set BACKUPS_REMOTE_KEY in the settings, or the variable that they take it from.",
        )
    insecure = insecure or (conf.remote_insecure and url == conf.remote_url)
    client_of = _client_class()
    with client_of(url, conf.remote_key, header=conf.remote_header, insecure=insecure) as client:
        yield RemoteTarget(client)


def _client_class() -> "type[BackupClient]":
    """Imported here, since this machine's store does not need the client's packages."""
    try:
        from backups.client import BackupClient
    except ImportError as error:
        raise ClientError(str(error)) from error
    return BackupClient


@contextmanager
def in_our_form(target: Target) -> Iterator[None]:
    """
    For a block that reads the answers of a target.

    :raises ClientError: a server's answer lacks something, or has it in an unknown form.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(target, LocalTarget):
            raise
        raise ClientError(
            f"{target.where} answered in a form that this release does not know.",
            hint="Check the URL, and which release that server runs. restore_db --status shows what"
            " is pending there.",
        ) from error


def user() -> str:
    """Who runs this command, for the record."""
    try:
        return f"{getpass.getuser()} (manage.py)"
    except (KeyError, OSError):  # a container may run as a user without a name
        return "manage.py"
