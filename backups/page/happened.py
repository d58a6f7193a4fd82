"""What the receipts say, in plain words and in one order: restores, backups and downloads."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from backups import services
from backups.archive import services as archive
from backups.archive.receipts import ArchiveReceipt
from backups.store import Download, Receipt
from backups.templatetags.backups_page import TIMES, in_unit

RESTORES, BACKUPS, DOWNLOADS = "restores", "backups", "downloads"
GOOD, WARN, BAD = "good", "warn", "bad"

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
    "refused": (_("Refused: it was to be restored"), BAD),
}
VERIFIED_WORDS: Mapping[str, tuple[Any, str]] = {
    "restorable": (_("Verified: it can be restored"), GOOD),
    "refused": (_("Tried: it can't be restored"), BAD),
    "damaged": (_("Tried: it is damaged"), BAD),
    "unreadable": (_("Tried: it could not be read"), WARN),
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


def list_events(kinds: Iterable[str]) -> list[Callable[[], Event]]:
    """Everything of these kinds that has a receipt, the newest first; each is put in words late."""
    found = [each for kind in kinds for each in READERS[kind]()]
    found.sort(key=lambda each: each[0], reverse=True)
    return [tell for _at, tell in found]


Told = tuple[datetime, Callable[[], Event]]


def _restores() -> Iterator[Told]:
    for each in services.list_receipts():
        yield each.at, lambda each=each: _of_restore(each)  # type: ignore[misc]


def _downloads() -> Iterator[Told]:
    for each in services.list_downloads():
        yield each.at, lambda each=each: _of_download(each)  # type: ignore[misc]


def _backups() -> Iterator[Told]:
    """A receipt without a time was changed by hand, and is left out."""
    receipts = archive.list_receipts()
    deleted = {each.snapshot for each in receipts if each.what == "deleted"}
    for each in receipts:
        try:
            at = datetime.fromisoformat(each.at).astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            continue
        is_stored = each.snapshot not in deleted
        yield at, lambda each=each, at=at, is_stored=is_stored: _of_backup(each, at, is_stored)  # type: ignore[misc]


READERS = {RESTORES: _restores, BACKUPS: _backups, DOWNLOADS: _downloads}


def _of_restore(receipt: Receipt) -> Event:
    what, tone = RESTORE_WORDS.get(receipt.outcome, (receipt.outcome, ""))
    if receipt.undoes is not None and receipt.outcome == "applied":
        what = gettext("Undid a restore")
    return Event(
        receipt.at,
        RESTORES,
        str(what),
        tone,
        by=receipt.by or str(NOBODY),
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
        yield gettext("The file was set aside as %(name)s.") % {"name": receipt.kept}
    if receipt.outcome == "applied":
        yield gettext("It took %(time)s.") % {"time": in_unit(receipt.seconds, TIMES)}


def _of_backup(receipt: ArchiveReceipt, at: datetime, is_stored: bool) -> Event:
    words = VERIFIED_WORDS if receipt.what == "verified" else BACKUP_WORDS
    name = receipt.outcome if receipt.what == "verified" else receipt.what
    what, tone = words.get(str(name), (receipt.what, ""))
    seconds = getattr(receipt, "seconds", None)
    took: list[str] = []
    if isinstance(seconds, int | float):
        took.append(gettext("It took %(time)s.") % {"time": in_unit(seconds, TIMES)})
    return Event(
        at,
        BACKUPS,
        str(what),
        tone,
        by=str(receipt.by or ""),
        snapshot=str(receipt.snapshot or ""),
        is_stored=is_stored and bool(receipt.snapshot),
        size=receipt.size if isinstance(receipt.size, int) else None,
        reason=str(receipt.reason),
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
