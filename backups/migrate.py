"""
Migrate a database file that is not the live one: ``python -m backups.migrate ALIAS PATH``.

A process of its own, in which the site's database *is* that file: data migrations that ignore
``using`` write into it and never into the live one, and every app's signal handlers are
connected, which they are not yet while the site is starting up.
"""

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from backups.child import last_line, run_module
from backups.exceptions import RestoreRefusedError

DONE = "migrated"  # the last line of a child that came to its end


def migrate_file(alias: str, database: Path) -> None:
    """
    Bring ``database`` to this release, in a child process. However long that takes.

    :raises RestoreRefusedError: a migration failed; the file is to be thrown away.
    """
    child = run_module("backups.migrate", alias, str(database))
    if last_line(child.stdout) != DONE:
        raise RestoreRefusedError(f"The snapshot's migrations failed: {_ending(child)}.")


def _ending(child: "subprocess.CompletedProcess[bytes]") -> str:
    return last_line(child.stderr) or f"the process ended with {child.returncode}"


def main(alias: str, database: str) -> None:
    """Run ``migrate`` on the file, then say so."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    from backups import startup

    startup.is_wanted = False  # the parent is alone with the live database, on our behalf
    # A URI that does not create: our parent may be dead by now, and the file swept.
    settings.DATABASES[alias]["NAME"] = f"file:{quote(database)}?mode=rw"
    django.setup()
    call_command("migrate", database=alias, interactive=False, verbosity=1)
    print(DONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
