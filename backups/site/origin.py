"""Where a snapshot comes from: this site, an older or a newer release, or another project."""

from collections.abc import Collection

from django.apps import apps

from backups.exceptions import ForeignDatabaseError, NewerSnapshotError
from backups.site.migrations import SnapshotLoader, key_of, name_of, own_apps
from backups.site.names import MOST_NAMED, clip, plural, some
from backups.sqlite.format.schema import fold
from backups.sqlite.site import Found, Live
from backups.store import FOREIGN


def check_origin(found: Found, live: Live, *, accept: Collection[str]) -> tuple[str, ...]:
    """
    Refuse a snapshot of another project or of a newer release. Reads no database.

    Older snapshots of this site are fine, and so are those from when it had more apps.

    :raises ForeignDatabaseError: it has none of the project's own apps, but the live database
        does; unless "foreign" is accepted.
    :raises NewerSnapshotError: it has migrations of an installed app that come after all that
        this release knows.
    :returns: warnings that name what this release no longer has.
    """
    loader = SnapshotLoader(found.migrations)
    warnings = [*_check_own(loader, live, accept)]
    installed = {config.label for config in apps.get_app_configs()}
    unknown = loader.unknown()
    behind = [name_of(key) for key in unknown if key[0] in installed]
    newer = [name for name in behind if name not in live.migrations]
    refuse_newer([name for name in newer if not loader.is_left_behind(key_of(name))])
    if behind:
        warnings.append(
            f"The snapshot has the migration{plural(behind)} {some(behind)}, which this release"
            " does not have."
        )
    gone = list(dict.fromkeys(app for app, _ in unknown if app not in installed))
    warnings += [_warn_of_gone(app, found) for app in gone[:MOST_NAMED]]
    if more := gone[MOST_NAMED:]:
        verb = "are" if len(more) > 1 else "is"
        warnings.append(
            f"{len(more):,} more app{plural(more)} of the snapshot {verb} not installed here."
        )
    return tuple(warnings)


def refuse_newer(unknown: list[str]) -> None:
    """Raise NewerSnapshotError if there are migrations that this release does not know."""
    if unknown:
        raise NewerSnapshotError(
            "The snapshot was made by a newer release: this one does not know the"
            f" migration{plural(unknown)} {some(unknown)}."
        )


def _check_own(loader: SnapshotLoader, live: Live, accept: Collection[str]) -> tuple[str, ...]:
    own = own_apps(loader)
    if not own or own.intersection(app for app, _ in loader.applied_migrations):
        return ()
    names = some(sorted(own))
    words = f"None of this project's own apps ({names}) are in the file. {_origin(loader)}"
    is_bare = live.is_known and not own.intersection(app for app, _ in map(key_of, live.migrations))
    if FOREIGN in accept or is_bare:
        return (words,)
    raise ForeignDatabaseError(
        words,
        hint="Nothing was staged. Send a file that came from this site's backup. To restore"
        " this one all the same: restore_db PATH --accept-foreign, or ?accept=foreign.",
    )


def _origin(loader: SnapshotLoader) -> str:
    others = dict.fromkeys(app for app, _ in loader.unknown())
    if not others:
        return (
            f"To go live it would need {len(loader.plan())} migrations, which would create the"
            " tables of these apps, empty."
        )
    verb = "are" if len(others) > 1 else "is"
    return f"It has the app{plural(others)} {some(list(others))}, which {verb} not installed here."


def _warn_of_gone(app: str, found: Found) -> str:
    tables = sorted(name for name in found.tables if name.startswith(f"{fold(app)}_"))
    verb = "stay" if len(tables) > 1 else "stays"
    what = f"its table{plural(tables)} {some(tables)} {verb}" if tables else "its migrations stay"
    return (
        f"The snapshot has the app {clip(app)}, which is not installed here: {what} in the"
        f" database, and nothing uses {'it' if len(tables) == 1 else 'them'}."
    )
