"""What the receipts say, in plain words and in one order: restores, backups and downloads."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backups import services
from backups.archive import services as archive
from backups.archive.receipts import REFUSED, STAGED, ArchiveReceipt
from backups.store import Download, Receipt
from backups.templatetags.backups_page import TIMES, in_unit

RESTORES, BACKUPS, DOWNLOADS = "restores", "backups", "downloads"
GOOD, WARN, BAD = "good", "warn", "bad"

# What the archive has receipts of although it is about a restore.
OF_RESTORES = (STAGED, REFUSED)
MOST_LATE = 5  # seconds between the two receipts of one staging

RESTORE_WORDS: Mapping[str, tuple[Any, str]] = {
    "staged": (_("Staged to be restored"), ""),
    "discarded": (_("Discarded before it was restored"), WARN),
    "applied": (_("Restored"), GOOD),
    "refused": (_("Restore refused"), BAD),
    "blocked": (_("Restore not done yet"), BAD),
}
BACKUP_WORDS: Mapping[str, tuple[Any, str]] = {
    "stored": (_("Stored"), GOOD),
    "deleted": (_("Deleted"), WARN),
    "failed": (_("Failed"), BAD),
    "held": (_("Held"), ""),
    "released": (_("Released"), ""),
    "staged": (_("Read back, and staged to be restored"), ""),
    "refused": (_("Restore refused"), BAD),
}
VERIFIED_WORDS: Mapping[str, tuple[Any, str]] = {
    "restorable": (_("Verified: it can be restored"), GOOD),
    "refused": (_("Tried: it can't be restored"), BAD),
    "damaged": (_("Tried: it is damaged"), BAD),
    "unreadable": (_("Tried: it could not be verified"), WARN),
}
DOWNLOAD_WORDS: Mapping[str, tuple[Any, str]] = {
    "begun": (_("Download begun"), ""),
    "whole": (_("Downloaded"), GOOD),
    "broken off": (_("Download broken off"), WARN),
}
# Of a start that put a restore in place, and of a command.
NOBODY = _("a starting process")
SOMEBODY_HERE = _("this machine")


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    at: datetime
    kind: str
    what: str
    tone: str = ""
    by: str = ""
    snapshot: str = ""  # the id of a stored one
    is_stored: bool = False  # as far as the receipts tell
    size: int | None = None
    reason: str = ""
    details: tuple[str, ...] = ()


Archived = Sequence[tuple[datetime, ArchiveReceipt]]
# When it happened, and a way to put it in words.
Told = tuple[datetime, Callable[[], Event]]


def list_events(kinds: Collection[str]) -> list[Callable[[], Event]]:
    """Everything of these kinds that has a receipt, the newest first; each is put in words late."""
    archived = list(_archived())
    found: list[Told] = []
    if RESTORES in kinds:
        found += _restores(archived)
    if BACKUPS in kinds:
        found += _backups(archived)
    if DOWNLOADS in kinds:
        found += ((each.at, partial(_of_download, each)) for each in services.list_downloads())
    found.sort(key=lambda each: each[0], reverse=True)
    return [tell for _at, tell in found]


def _archived() -> Iterator[tuple[datetime, ArchiveReceipt]]:
    """The archive's receipts. One without a time was changed by hand, and is left out."""
    for each in archive.list_receipts():
        with suppress(ValueError, OverflowError):
            yield datetime.fromisoformat(each.at).astimezone(UTC), each


def _restores(archived: Archived) -> Iterator[Told]:
    """What happened to restores. That one was staged from the storage is said only once."""
    receipts, deleted = services.list_receipts(), _deleted(archived)
    twins = _twins(receipts, archived)
    for each in receipts:
        twin = twins.get(each.staged_at)
        snapshot = "" if twin is None else str(twin.snapshot)
        is_stored = snapshot not in deleted
        yield each.at, partial(_of_restore, each, snapshot=snapshot, is_stored=is_stored)
    said = {each.id for each in twins.values()}
    for at, other in archived:
        if other.what in OF_RESTORES and other.id not in said:
            is_stored = other.snapshot not in deleted
            yield at, partial(_of_backup, other, at, kind=RESTORES, is_stored=is_stored)


def _twins(
    receipts: Iterable[Receipt], archived: Archived
) -> dict[datetime | None, ArchiveReceipt]:
    """
    The archive's receipt of each staging from the storage, which tells the snapshot's id; by the
    time of the staging, which all other receipts of the same restore have too.
    """
    known = {
        (each.by, at - timedelta(seconds=late)): each
        for at, each in archived
        if each.what == STAGED
        for late in range(MOST_LATE + 1)
    }
    staged = [each for each in receipts if each.outcome == STAGED]
    found = {
        each.staged_at: known.get((each.by, each.at.replace(microsecond=0))) for each in staged
    }
    return {staged_at: twin for staged_at, twin in found.items() if twin is not None}


def _backups(archived: Archived) -> Iterator[Told]:
    deleted = _deleted(archived)
    for at, each in archived:
        if each.what not in OF_RESTORES:
            is_stored = each.snapshot not in deleted
            yield at, partial(_of_backup, each, at, kind=BACKUPS, is_stored=is_stored)


def _deleted(archived: Archived) -> set[str | None]:
    """The ids of stored snapshots that are gone, as far as there are receipts."""
    return {each.snapshot for _at, each in archived if each.what == "deleted"}


def _of_restore(receipt: Receipt, *, snapshot: str, is_stored: bool) -> Event:
    what, tone = RESTORE_WORDS.get(receipt.outcome, (receipt.outcome, ""))
    if receipt.undoes is not None and receipt.outcome == "applied":
        what = gettext("Undid a restore")
    return Event(
        receipt.at,
        RESTORES,
        str(what),
        tone,
        by=receipt.by or str(NOBODY),
        snapshot=snapshot,
        is_stored=is_stored,
        size=receipt.size,
        reason=receipt.reason,
        details=tuple(_details(receipt)),
    )


def _details(receipt: Receipt) -> Iterator[str]:
    if receipt.staged_by and receipt.staged_by != receipt.by:
        yield gettext("Staged by %(by)s.") % {"by": receipt.staged_by}
    if receipt.undoes:
        yield gettext("It is the kept copy %(name)s.") % {"name": receipt.undoes}
    if receipt.migrations:
        yield gettext("Migrations: %(names)s.") % {"names": ", ".join(receipt.migrations)}
    if receipt.kept and receipt.outcome == "applied":
        yield gettext("What was live before is kept as %(name)s.") % {"name": receipt.kept}
    elif receipt.kept:
        yield gettext("The snapshot was set aside as %(name)s.") % {"name": receipt.kept}
    if receipt.outcome == "applied":
        yield gettext("It took %(time)s.") % {"time": in_unit(receipt.seconds, TIMES)}


def _of_backup(receipt: ArchiveReceipt, at: datetime, *, kind: str, is_stored: bool) -> Event:
    words = VERIFIED_WORDS if receipt.what == "verified" else BACKUP_WORDS
    name = receipt.outcome if receipt.what == "verified" else receipt.what
    what, tone = words.get(str(name), (receipt.what, ""))
    took: list[str] = []
    if receipt.seconds is not None:
        took.append(gettext("It took %(time)s.") % {"time": in_unit(receipt.seconds, TIMES)})
    return Event(
        at,
        kind,
        str(what),
        tone,
        by=receipt.by or "",
        snapshot=receipt.snapshot or "",
        is_stored=is_stored,
        size=receipt.size,
        reason=receipt.reason,
        details=tuple(took),
    )


def _of_download(download: Download) -> Event:
    what, tone = DOWNLOAD_WORDS.get(download.outcome, (download.outcome, ""))
    is_part = download.outcome == "broken off" and download.sent is not None
    is_stored = download.method == "stored"
    details = [gettext("A stored snapshot.") if is_stored else gettext("The database as it was.")]
    if is_part:
        details.append(gettext("%(sent)s bytes were sent.") % {"sent": f"{download.sent:,}"})
    if download.address:
        details.append(gettext("To %(address)s.") % {"address": download.address})
    return Event(
        download.at,
        DOWNLOADS,
        str(what),
        tone,
        by=download.by or str(SOMEBODY_HERE),
        size=download.size,
        details=tuple(details),
    )
