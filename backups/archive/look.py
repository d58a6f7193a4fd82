"""A look at the listing: which stored files are gone, or have another size than before."""

from backups.archive import names
from backups.archive.catalog import StoredSnapshot
from backups.archive.manifest import SUFFIX
from backups.archive.media.tidying import check_media
from backups.archive.receipts import DELETED, list_receipts
from backups.archive.state import note_unverified, noting, read_state
from backups.archive.storing import get_catalog
from backups.exceptions import InvalidSnapshotError, StorageError


def look(*, with_media: bool = True, database: str | None = None) -> list[str]:
    """
    A sentence for each stored file that is missing, or shorter or longer than its manifest says.
    Reads the listings and the manifests, and no stored file. Of media files, it looks only for
    those of the newest snapshot: the others have most of them too.

    :param with_media: whether to look for media files too.
    :raises StorageError: the storage fails.
    """
    catalog = get_catalog(database)
    stored, missing = catalog.look()
    changed = [
        f"{each.name} in {catalog.files.where} is damaged. {each.problem}"
        for each in stored
        if each.manifest is not None and each.problem
    ]
    gone = [
        f"{name} is missing in {catalog.files.where}: only its manifest is left."
        for name in missing
    ]
    return gone + changed + (_media(stored[:1], database) if with_media else [])


def check_last(*, database: str | None = None) -> None:
    """
    Look whether the storage still has what was stored and verified last, or at least its manifest,
    which ``look`` sees. A disk that is not mounted looks like a storage that has nothing yet.

    :raises StorageError: it has neither, and nobody has deleted it with this app. Raised once.
    """
    state = read_state(database=database)
    known = {each for each in (state.last_id, state.verified_id) if each}
    try:
        gone = known - _listed(database)
    except StorageError:  # whoever stores next gets the same error
        return
    if not gone:
        return
    with noting():
        note_unverified(gone, database=database)
    receipts = list_receipts(database=database)
    deleted = {each.snapshot for each in receipts if each.what == DELETED}
    if lost := sorted(gone - deleted):
        raise StorageError(
            f"{get_catalog(database).files.where} has no trace of {' and '.join(lost)} any more,"
            " and nobody has deleted that with this app.",
            hint="Check whether the right disk is mounted, and whether STORAGES['backups'] and"
            " BACKUPS_NAME are what they were.",
        )


def _listed(database: str | None) -> set[str | None]:
    """The ids of all that the storage has, and of what only a manifest is left of."""
    catalog = get_catalog(database)
    listed = (name.removesuffix(SUFFIX) for name in catalog.files.sizes())
    return {names.id_of(catalog.prefix, name) for name in listed}


def _media(newest: list[StoredSnapshot], database: str | None) -> list[str]:
    try:
        return [
            f"{len(lost):,} media files of {each.id} are missing in the storage, e.g. {lost[0]}."
            for each in newest
            if (lost := check_media(each, database=database))
        ]
    except InvalidSnapshotError as error:
        return [str(error)]
