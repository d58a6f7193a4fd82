"""What is in a new database, judged by the installed release and the live database."""

from collections.abc import Collection

from backups.exceptions import ForeignDatabaseError
from backups.postgres.contents import Contents
from backups.postgres.site import Site
from backups.sqlite.site import Found, Live


def compare(found: Contents, live: Live, *, site: Site, accept: Collection[str]) -> tuple[str, ...]:
    """
    Compare a snapshot with this site. Returns warnings.

    :param accept: problems to accept, of those in ``ACCEPTABLE``.
    :raises InvalidSnapshotError: it is another application's, a newer release made it, or it lacks
        tables.
    """
    if not found.migrations:
        raise _foreign(found, site)
    whole = Found(found.migrations, found.tables, (), found.generated)
    told = site.check_origin(whole, live, accept=accept)
    site.check_tables(whole, live)
    return told


def _foreign(found: Contents, site: Site) -> ForeignDatabaseError:
    reason = (
        "its table django_migrations is empty"
        if found.has_migrations
        else "it has no table django_migrations"
    )
    message = f"The snapshot is a database, but not one of this site: {reason}."
    return ForeignDatabaseError(f"{message} {site.recognise(found.tables)}".rstrip())


def known_migrations(found: Contents, live: Live, site: Site) -> tuple[str, ...]:
    """The migrations that count as known at the start, as a store of SQLite has them."""
    known = live.migrations.intersection(found.migrations)
    return tuple(sorted(known.union(site.unknown(found.migrations))))
