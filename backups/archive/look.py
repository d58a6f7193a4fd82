"""A look at the listing: which stored files are gone, or have another size than before."""

from backups.archive.catalog import StoredSnapshot
from backups.archive.media.tidying import check_media
from backups.archive.storing import get_catalog
from backups.exceptions import InvalidSnapshotError


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


def _media(newest: list[StoredSnapshot], database: str | None) -> list[str]:
    try:
        return [
            f"{len(lost):,} media files of {each.id} are missing in the storage, e.g. {lost[0]}."
            for each in newest
            if (lost := check_media(each, database=database))
        ]
    except InvalidSnapshotError as error:
        return [str(error)]
