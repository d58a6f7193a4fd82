"""The check of BACKUPS_KEEP, which says which stored snapshots stay."""

from typing import Any

from django.core.checks import CheckMessage, Error

from backups.archive.retention import read_keep
from backups.conf import conf
from backups.exceptions import KeepError


def check_retention(**_: Any) -> list[CheckMessage]:
    """Check that each rule is known and has a number, and that something stays. Reads only."""
    try:
        read_keep(conf.keep)
    except KeepError as error:
        return [Error(str(error), hint=error.hint, id="backups.E108")]
    return []
