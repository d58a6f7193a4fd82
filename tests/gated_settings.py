"""The site's own settings, with a storage that waits, and requests that wait for no job."""

from taskdog.settings import *  # noqa: F403
from taskdog.settings import STORAGES, TASKDOG_DATA_DIR

STORAGES = STORAGES | {
    "backups": {
        "BACKEND": "tests.gated_storage.GatedStorage",
        "OPTIONS": {"location": TASKDOG_DATA_DIR / "tasks.db.backups"},
    }
}
BACKUPS_JOB_SECONDS = 0.2
