"""The site's own settings, with a limit on checks that a test can wait for."""

from taskdog.settings import *  # noqa: F403

BACKUPS_CHECK_SECONDS = 6
