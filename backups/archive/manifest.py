"""
What is known of a stored snapshot: a small JSON file beside it, ``<its name>.json``.

The stored file is the backup, and can be restored without its manifest. The manifest says what
should be in the file, so that a change can be noticed.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

FORMAT = 1
SUFFIX = ".json"
# A storage may hold anything, so these types are checked when a manifest is read.
SIMPLE: dict[Any, Any] = {
    **{kind: kind for kind in (int, str, str | None)},
    float: int | float,
    tuple[str, ...]: list,
    Mapping[str, int]: dict,
    Mapping[str, str]: dict,
}


@dataclass(frozen=True)
class Verification:
    """What was found when a stored snapshot was verified."""

    at: datetime  # UTC
    # "restorable"; "damaged"; "refused": it is whole, but the installed release would refuse it; or
    # "unreadable": it could not be verified, which says nothing about it.
    outcome: str
    reason: str  # a sentence; empty if it is restorable
    seconds: float
    tables: int = 0
    rows: int = 0  # of all tables together, after the migrations
    migrations: int = 0  # how many it needed for the installed release
    warnings: tuple[str, ...] = ()
    lost_media: int = 0  # contents of media files that can't be put back

    @property
    def is_good(self) -> bool:
        """Whether the database can be restored."""
        return self.outcome == "restorable"

    @property
    def sentence(self) -> str:
        """The result, for a person."""
        if not self.is_good:
            return f"{in_words(self.outcome)}: {self.reason}"
        content = f"{self.rows:,} rows in {self.tables:,} tables"
        lost = f"; media files lost: {self.lost_media:,}" if self.lost_media else ""
        return f"restorable, {content}, {self.seconds:.1f} seconds{lost}"


def in_words(outcome: str) -> str:
    """An outcome as a person reads it: a snapshot that nobody could verify may be good."""
    return "could not be verified" if outcome == "unreadable" else outcome


@dataclass(frozen=True)
class Hold:
    """Why a stored snapshot must not be deleted."""

    at: datetime  # UTC
    by: str
    reason: str = ""


@dataclass(frozen=True)
class Media:
    """The media files that belong to a snapshot."""

    list: str  # the name of the stored list of them; empty if they could not be stored
    files: int
    size: int  # bytes, of all of them
    new: int = 0  # how many contents no earlier snapshot had
    new_size: int = 0  # bytes
    warnings: tuple[str, ...] = ()  # a sentence for each missing file, for the first few


@dataclass(frozen=True)
class Manifest:
    """What was stored, when and by whom; and what became of it."""

    name: str  # of the stored file
    size: int  # bytes, of the stored file
    sha256: str  # of the stored file
    database_size: int  # bytes, of the snapshot when it is unpacked
    database_sha256: str
    taken_at: datetime  # UTC
    seconds: float  # how long it took to store it
    method: str  # "pages", "compact" or "dump"
    by: str  # the key, the user, or "schedule"
    schedule: str | None  # the cron expression; None if somebody asked for it
    label: str | None
    site: str  # BACKUPS_NAME
    release: str  # BACKUPS_RELEASE
    software: Mapping[str, str]  # the version of each program that made it
    migrations: tuple[str, ...]  # ``app.name`` of each that was applied
    rows: Mapping[str, int]  # of each table
    recipients: tuple[str, ...] = ()  # the public keys that it is encrypted to
    verification: Verification | None = None
    hold: Hold | None = None
    media: Media | None = None

    def to_json(self) -> bytes:
        """The bytes of the file. It is indented for people. Times are UTC."""
        content = {"format": FORMAT, **asdict(self)}
        text = json.dumps(content, indent=1, default=_iso, ensure_ascii=False)
        return text.encode(errors="backslashreplace") + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest | None":
        """None if this is not a manifest. Fields that only a later release knows are left out."""
        try:
            words: dict[str, Any] = json.loads(content)
            known = _known(cls, words)
            known["taken_at"] = _moment(words["taken_at"])
            for count in known["rows"].values():
                _check(count, int)
            for version in known["software"].values():
                _check(version, str)
            known["migrations"] = tuple(words["migrations"])
            known["recipients"] = tuple(words.get("recipients", ()))
            for name, kind in (("verification", Verification), ("hold", Hold), ("media", Media)):
                if inner := words.get(name):
                    known[name] = _read(kind, inner)
            return cls(**known)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return None


def _read(kind: type, words: dict[str, Any]) -> Any:
    known = _known(kind, words)
    if "at" in known:
        known["at"] = _moment(known["at"])
    if "warnings" in known:
        known["warnings"] = tuple(known["warnings"])
    return kind(**known)


def _known(kind: Any, words: dict[str, Any]) -> dict[str, Any]:
    """The fields that this release knows. :raises TypeError: one has the wrong type."""
    found = {field.name: words[field.name] for field in fields(kind) if field.name in words}
    for field in fields(kind):
        if field.name in found and field.type in SIMPLE:
            _check(found[field.name], SIMPLE[field.type])
    return found


def _check(value: object, kind: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(value)
    if isinstance(value, list):
        for each in value:
            _check(each, str)
    if isinstance(value, int):
        float(value)  # raises OverflowError: no real number has so many digits
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)  # JSON has no such number, but Python reads it


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _iso(value: object) -> str:
    assert isinstance(value, datetime), value
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
