"""A look at the listing: which stored files are gone, or have another size than they had."""

from backups.archive.storing import get_catalog


def look(*, database: str | None = None) -> list[str]:
    """
    A sentence for each stored file that is missing, or shorter or longer than its manifest says.
    Reads the listing and the manifests, and no stored file.

    :raises StorageError: the storage can't be asked.
    """
    catalog = get_catalog(database)
    stored, missing = catalog.look()
    changed = [
        f"{each.name} in {catalog.files.where}: {each.problem}"
        for each in stored
        if each.manifest is not None and each.problem
    ]
    gone = [
        f"{name} is missing in {catalog.files.where}: only its manifest is left."
        for name in missing
    ]
    return gone + changed
