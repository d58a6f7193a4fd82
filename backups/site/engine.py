"""Which kind of database an alias in DATABASES is, by its ENGINE. Only this module asks that."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from backups.conf import conf
from backups.exceptions import BackupNotSupportedError

SQLITE, POSTGRES = "sqlite", "postgresql"  # Django's words for the two
INSTALL = 'pip install "django-restorable[postgres]"'


def vendor_of(alias: str) -> str:
    """
    Django's word for the kind of database. Opens nothing.

    :raises BackupNotSupportedError: there is no such alias, or the driver of PostgreSQL is missing.
    """
    if alias not in settings.DATABASES and alias != conf.database:
        raise BackupNotSupportedError(
            f"There is no database {alias!r} in DATABASES.",
            hint=f"Choose one of: {', '.join(settings.DATABASES)}.",
        )
    try:
        return str(connections[alias].vendor)
    except ImproperlyConfigured as error:
        if "psycopg" in str(error):
            raise driver_is_missing(alias) from error
        raise


def driver_is_missing(alias: str) -> BackupNotSupportedError:
    """What to say where psycopg 3 is not installed."""
    return BackupNotSupportedError(
        f"The database {alias!r} is PostgreSQL, and psycopg 3 is not installed.",
        hint=f"Install it: {INSTALL}",
    )
