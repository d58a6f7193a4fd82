"""What the variables TASKDOG_BACKUP_… say: where backups are stored, when, and which stay."""

import re
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from taskdog import environment

TIERS = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
OFF = "off"
URL = re.compile(r"(s3|gs|az)://", re.IGNORECASE)
LIKE_A_URL = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def storage(default: Path) -> dict[str, Any]:
    """The entry of STORAGES: a folder, or ``s3://bucket/prefix``."""
    given = environment.text("TASKDOG_BACKUP_STORAGE", str(default))
    if not URL.match(given):
        if LIKE_A_URL.match(given):
            raise ImproperlyConfigured(
                f"TASKDOG_BACKUP_STORAGE is {given!r}; a URL must begin with s3://, gs:// or az://."
                " If it is a folder, begin it with / or ./."
            )
        folder = Path(given).expanduser()
        if not folder.is_absolute():  # below the checkout: a command may start elsewhere
            folder = Path(__file__).resolve().parent.parent / folder
        return {
            "BACKEND": "backups.archive.folder_storage.FolderStorage",
            "OPTIONS": {"location": folder},
        }
    options: dict[str, Any] = {"url": given}
    if endpoint := environment.text("TASKDOG_BACKUP_S3_ENDPOINT"):
        options["endpoint"] = endpoint
    if environment.flag("TASKDOG_BACKUP_S3_ALLOW_HTTP", default=False):
        options["allow_http"] = True
    return {"BACKEND": "backups.archive.obstore_storage.ObstoreStorage", "OPTIONS": options}


def recipients() -> list[str]:
    """The public keys that snapshots are encrypted to; none if the variable is absent or blank."""
    found = environment.items("TASKDOG_BACKUP_RECIPIENTS")
    if not found and environment.text("TASKDOG_BACKUP_RECIPIENTS"):
        raise ImproperlyConfigured(
            "TASKDOG_BACKUP_RECIPIENTS is set, but it names no public key, so nothing would be"
            " encrypted. Name a key, or remove the variable."
        )
    return found


def schedule() -> str:
    """The cron expression; empty for none."""
    given = environment.text("TASKDOG_BACKUP_SCHEDULE", "0 3 * * *")
    return "" if given.lower() == OFF else given


def keep() -> dict[str, int]:
    """Which snapshots stay: ``last=7, daily=14, monthly=12``. A rule that is not named is 0."""
    found = {}
    for item in environment.items("TASKDOG_BACKUP_KEEP"):
        tier, _, number = item.partition("=")
        if tier.strip() not in TIERS or not (number.strip().isascii() and number.strip().isdigit()):
            raise ImproperlyConfigured(
                f"TASKDOG_BACKUP_KEEP has {item!r}; it must be one of {', '.join(TIERS)}, with a"
                " number: last=7, daily=14."
            )
        found[tier.strip()] = int(number)
    return found
