"""A new pair of keys: the secret half goes into a file that only its owner can read."""

import os
from datetime import UTC, datetime
from pathlib import Path

from backups.archive.encryption import make_pair
from backups.disk import atomic_file
from backups.exceptions import DestinationError


def create_key_file(path: Path) -> str:
    """
    Make a pair and write its secret half to a new file (0600), as ``age-keygen`` does.

    :returns: the public half, for BACKUPS_RECIPIENTS.
    :raises DestinationError: the name is taken, or the system refuses.
    :raises MissingPackageError: the extra ``age`` is not installed.
    """
    if os.path.lexists(path):
        raise DestinationError(
            f"{path} already exists. A secret key is never overwritten.",
            hint="Choose another name with -o.",
        )
    secret, public = make_pair()
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    content = f"# created: {created}\n# public key: {public}\n{secret}\n"
    atomic_file.save([content.encode()], path)
    return public
