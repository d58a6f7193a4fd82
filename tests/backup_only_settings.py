"""The site's own settings, where staff may back up, and nobody may restore."""

from taskdog.settings import *  # noqa: F403

BACKUPS_RESTORE_PERMISSION = "tests.backups.page.permissions.Nobody"
