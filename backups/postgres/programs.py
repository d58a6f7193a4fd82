"""
pg_dump and pg_restore: which ones are installed, and whether they suit the server.

A pg_dump refuses a server that is newer than itself, and a pg_restore a dump of a newer pg_dump.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backups.exceptions import BackupNotSupportedError
from backups.processes.environment import without_secrets

SECONDS = 20.0
HAS_TRANSACTION_TIMEOUT = 17  # https://www.postgresql.org/docs/17/release-17.html
PLACES = (  # where packages put the programs of each release
    "/usr/lib/postgresql/*/bin",  # Debian
    "/usr/pgsql-*/bin",  # Red Hat
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/libexec/postgresql*",  # Alpine
)
INSTALL = (
    "Install the client programs of the server's release (Debian: postgresql-client; see"
    " https://www.postgresql.org/download), or name their folder in BACKUPS_POSTGRES_PROGRAMS."
)


@dataclass(frozen=True)
class Programs:
    """The programs of one release."""

    folder: Path
    version: int  # major: 15

    @property
    def pg_dump(self) -> Path:
        """Writes a dump."""
        return self.folder / "pg_dump"

    @property
    def pg_restore(self) -> Path:
        """Reads one."""
        return self.folder / "pg_restore"


def find_programs(chosen: Path | None) -> Programs:
    """
    The newest ones.

    :param chosen: the only folder to look in; None for PATH and the usual places.
    :raises BackupNotSupportedError: there are none.
    """
    return max(_found(chosen), key=lambda each: each.version)


def find_programs_for(chosen: Path | None, server: int) -> Programs:
    """
    Those of the server's own release; else the newest ones that suit it, or that can dump it.

    :param server: its major version.
    :raises BackupNotSupportedError: they are older than the server, or there are none.
    """
    found = _found(chosen)
    programs = max(found, key=lambda each: (*_suits(each, server), each.version))
    if programs.version < server:
        raise BackupNotSupportedError(
            f"The newest pg_dump here, {programs.pg_dump}, is of PostgreSQL {programs.version}, and"
            f" the server is PostgreSQL {server}: a pg_dump can't read a newer server.",
            hint=INSTALL,
        )
    return programs


def check_can_restore(programs: Programs, server: int) -> None:
    """
    Whether this pg_restore can fill a database of this server. From release 17 on, it begins with a
    setting that older servers don't know.

    :raises BackupNotSupportedError: it can't.
    """
    if not _can_restore(programs, server):
        raise BackupNotSupportedError(
            f"The pg_restore here, {programs.pg_restore}, is of"
            f" PostgreSQL {programs.version}, and can't restore into a server of PostgreSQL"
            f" {server}.",
            hint=INSTALL,
        )


def _can_restore(programs: Programs, server: int) -> bool:
    return programs.version < HAS_TRANSACTION_TIMEOUT or server >= HAS_TRANSACTION_TIMEOUT


def _suits(programs: Programs, server: int) -> tuple[bool, bool]:
    """Better if greater."""
    return (
        programs.version == server,
        programs.version >= server and _can_restore(programs, server),
    )


def _found(chosen: Path | None) -> list[Programs]:
    folders = [chosen] if chosen is not None else list(_folders())
    found = [each for folder in folders if (each := _look(folder)) is not None]
    if not found:
        where = f"in {chosen}" if chosen is not None else "in PATH, nor in the usual places"
        raise BackupNotSupportedError(
            f"There is no pg_dump with its pg_restore {where}.", hint=INSTALL
        )
    return found


def _folders() -> Iterator[Path]:
    yield from (Path(each) for each in os.get_exec_path() if each)
    for place in PLACES:
        yield from Path("/").glob(place.lstrip("/"))


def _look(folder: Path) -> Programs | None:
    pg_dump, pg_restore = folder / "pg_dump", folder / "pg_restore"
    if not all(os.access(each, os.X_OK) for each in (pg_dump, pg_restore)):
        return None
    version = _version(pg_dump, pg_dump.stat().st_mtime_ns)
    return Programs(folder, version) if version else None


@lru_cache(maxsize=32)
def _version(program: Path, _: int) -> int:
    """The major version; 0 if the program does not say it. Remembered until the file changes."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env=without_secrets(),
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(rb"\(PostgreSQL\) (\d+)", done.stdout)
    return int(match[1]) if match else 0
