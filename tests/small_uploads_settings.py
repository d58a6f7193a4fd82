"""The site's own settings, with a limit on uploads that each database is above."""

from taskdog.settings import *  # noqa: F403

BACKUPS_MAX_UPLOAD_BYTES = 100_000
