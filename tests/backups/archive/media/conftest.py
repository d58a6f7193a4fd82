"""The site that these tests want."""

from tests.backups.archive.media.media_site import media as media
