"""
The lists of the media files of a stored snapshot, beside it in the storage.

    <prefix><id>.media.jsonl.zst[.age]    a line of JSON for each file: its name, size, time of
                                          modification, SHA-256, and where its content is stored
    <prefix><id>.media.contents.zst       a line for each content, never encrypted

From the second list a site without the secret key learns which contents are still used, and which
are missing. The list shows how many there are, and which snapshots share them. It has no names of
files, and no hash that would reveal a known file.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from backups.archive import names
from backups.archive.packing import Packed
from backups.archive.storage import StoredFiles
from backups.archive.unpacking import unpack
from backups.exceptions import DamagedSnapshotError, WrongLengthError

LIST = ".media.jsonl.zst"
CONTENTS = ".media.contents.zst"
LONGEST_LINE = 64 * 1024  # bytes: the longest name of a file, each byte of it escaped, and more


@dataclass(frozen=True)
class Entry:
    """A media file of a snapshot."""

    name: str
    size: int  # bytes
    modified: str  # ISO 8601, UTC; empty if unknown
    sha256: str
    content: str  # the name of the stored content

    @property
    def modified_at(self) -> datetime | None:
        """When it was last modified, as far as anybody knows."""
        return datetime.fromisoformat(self.modified).astimezone(UTC) if self.modified else None


class MediaLists:
    """The lists of all stored snapshots of one site."""

    def __init__(self, files: StoredFiles, prefix: str) -> None:
        """Asks the storage nothing yet."""
        self._files, self._prefix = files, prefix

    def write(
        self,
        snapshot_id: str,
        entries: Iterable[Entry],
        contents: Iterable[str],
        *,
        recipients: tuple[str, ...],
        level: int,
    ) -> str:
        """
        Add the lists of a snapshot, and return the name of the first.

        :raises StorageError: the storage failed.
        """
        # This list comes first: it keeps the contents from being removed.
        lines = (f"{name}\n".encode() for name in contents)
        self._files.create(
            self._name(snapshot_id, CONTENTS), Packed(_joined(lines), None, level=level)
        )
        name = self._name(snapshot_id, LIST) + ".age" * bool(recipients)
        lines = (json.dumps(asdict(entry)).encode() + b"\n" for entry in entries)
        self._files.create(name, Packed(_joined(lines), None, level=level, recipients=recipients))
        return name

    def entries(self, name: str, identity_file: Path | None) -> Iterator[Entry]:
        """
        The media files of a snapshot, from its list. An error can follow at the end.

        :raises InvalidSnapshotError: it is cut off, or was changed.
        :raises IdentityError: it is encrypted, and there is no key that fits.
        :raises StorageError: it can't be read.
        """
        for line in self._lines(name, identity_file):
            yield _entry(line, name)

    def contents(self, snapshot_id: str) -> Iterator[str]:
        """
        The names of the contents of a snapshot.

        :raises InvalidSnapshotError: the list is cut off, or was changed.
        :raises StorageError: it can't be read.
        """
        for line in self._lines(self._name(snapshot_id, CONTENTS), None):
            yield line.decode(errors="replace")

    def id_of(self, name: str) -> str | None:
        """The id of the snapshot that a list belongs to; None for any other file."""
        for ending in (LIST, LIST + ".age", CONTENTS):
            snapshot_id = name.removeprefix(self._prefix).removesuffix(ending)
            if name == self._prefix + snapshot_id + ending and names.is_id(snapshot_id):
                return snapshot_id
        return None

    def contents_name(self, snapshot_id: str) -> str:
        """What the second list of a snapshot is called."""
        return self._name(snapshot_id, CONTENTS)

    def _lines(self, name: str, identity_file: Path | None) -> Iterator[bytes]:
        packed = _not_empty(self._files.chunks(name), name)
        return _lines(unpack(packed, name, identity_file=identity_file), name)

    def _name(self, snapshot_id: str, ending: str) -> str:
        return f"{self._prefix}{snapshot_id}{ending}"


def is_own(prefix: str, name: str) -> bool:
    """Whether a name in the default storage belongs to backups, which may be stored there too."""
    last = name.rstrip("/").rpartition("/")[2]
    if name.endswith("/"):
        return last == f"{prefix}media"
    ending = re.escape(prefix) + names.ID + r"\.(?:db|media\.(?:jsonl|contents))\.zst"
    return re.fullmatch(rf"{ending}(?:\.age)?(?:\.json)?", last, re.ASCII) is not None


def _not_empty(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Refuse an empty file, which would pass for an empty list: that has some bytes."""
    size = 0
    for chunk in chunks:
        size += len(chunk)
        yield chunk
    if not size:
        raise WrongLengthError(f"{name} is empty.")


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, joined to larger chunks: one at a time would be slow."""
    ready = bytearray()
    for line in lines:
        ready += line
        if len(ready) >= LONGEST_LINE:
            yield bytes(ready)
            ready.clear()
    yield bytes(ready)


def _lines(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise DamagedSnapshotError(f"{name} is not a list of media files: a line has no end.")
        yield from whole
    if rest:
        raise DamagedSnapshotError(f"{name} is not a list of media files: it ends within a line.")


def _entry(line: bytes, name: str) -> Entry:
    try:
        words = json.loads(line)
        entry = Entry(**{field: words[field] for field in Entry.__dataclass_fields__})
        kinds = [type(value) for value in asdict(entry).values()]
        if kinds != [str, int, str, str, str] or entry.size < 0:
            raise ValueError(line)
        _ = entry.modified_at
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DamagedSnapshotError(
            f"{name} has a line that does not describe a media file: {line[:200]!r}."
        ) from error
    return entry
