"""Read the media files of a site: each as it is now, or why it can't be read."""

import hashlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from backups.archive.media.cache import Found
from backups.archive.media.site_files import SiteFiles, UnreadableFileError

MOST_WARNINGS = 20  # that a manifest has
# Two changes within this time may leave the same modification time. So a file that was modified so
# shortly before it was read is read again next time.
SETTLED = timedelta(seconds=2)

logger = logging.getLogger(__name__)


class ChangedError(Exception):
    """A file changed while it was read."""


class MediaReader:
    """Reads the files of one site, and remembers what went wrong with them."""

    def __init__(self, site: SiteFiles) -> None:
        """Reads nothing yet."""
        self.site = site
        self._warnings: dict[str, None] = {}  # in their order, each once

    def read_if_changed(self, name: str, known: Found | None) -> Found | None:
        """What the file is now; what is known of it if it can't be read; None if it is gone."""
        try:
            look = self.site.look(name)
            if look is None:
                return None
            if known is not None and look.stamp and known.stamp == look.stamp:
                return known
            return self.read(name)
        except UnreadableFileError as error:
            self.warn(str(error) + (" Its earlier content stays in the backup." if known else ""))
            return known

    def read(self, name: str) -> Found | None:
        """Its size and hash; None if it is gone. :raises UnreadableFileError: it can't be read."""
        before, began = self.site.look(name), datetime.now(UTC)
        if before is None:
            return None
        digest, size = hashlib.sha256(), 0
        for chunk in self.site.chunks(name):
            digest.update(chunk)
            size += len(chunk)
        is_sure = before.modified is not None and before.modified < began - SETTLED
        modified = "" if before.modified is None else before.modified.isoformat()
        stamp = before.stamp if is_sure else ""
        return Found(name, digest.hexdigest(), size, modified, stamp)

    def same(self, found: Found) -> Iterator[bytes]:
        """
        The bytes of a file, as long as they are the ones that were found.

        :raises ChangedError: they are not. This may show only at the end.
        :raises UnreadableFileError: it can't be read.
        """
        digest, size = hashlib.sha256(), 0
        for chunk in self.site.chunks(found.name):
            size += len(chunk)
            if size > found.size:
                break
            digest.update(chunk)
            yield chunk
        if size != found.size or digest.hexdigest() != found.sha256:
            raise ChangedError(found.name)

    def warn(self, sentence: str) -> None:
        """Remember a sentence, once, and log the first few."""
        if sentence not in self._warnings:
            self._warnings[sentence] = None
            if len(self._warnings) <= MOST_WARNINGS:
                logger.warning("media files: %s", sentence)

    def forget_warnings(self) -> None:
        """Begin anew: what is still wrong will be found again."""
        self._warnings.clear()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The first few, and how many more there are."""
        more = len(self._warnings) - MOST_WARNINGS
        last = [f"{more:,} more could not be read."] if more > 0 else []
        return (*list(self._warnings)[:MOST_WARNINGS], *last)
