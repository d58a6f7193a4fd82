"""Storages that do not delete, as those off the machine may do."""

from backups.archive.folder_storage import FolderStorage


class RefusingStorage(FolderStorage):
    """Its credential may not delete."""

    asked: list[str] = []  # noqa: RUF012  # for the whole test, which empties it

    def delete(self, name: str) -> None:
        """Say no."""
        self.asked.append(name)
        raise PermissionError("AccessDenied: s3:DeleteObject")


class SilentStorage(FolderStorage):
    """Says that it has deleted, and keeps all."""

    def delete(self, name: str) -> None:
        """Do nothing."""


class WithoutReplaceStorage(FolderStorage):
    """Writes each file once."""

    def replace(self, name: str, content: bytes) -> None:
        """Say no."""
        raise PermissionError("AccessDenied: locked until 2027")


class SilentReplaceStorage(FolderStorage):
    """Takes a new version of a file, and shows the old one."""

    def replace(self, name: str, content: bytes) -> None:
        """Do nothing."""


class KeepsManifestsStorage(FolderStorage):
    """Its rules lock the manifests alone."""

    def delete(self, name: str) -> None:
        """Only what is no manifest."""
        if name.endswith(".json"):
            raise PermissionError("AccessDenied: locked until 2027")
        super().delete(name)


class LosesAnswersStorage(FolderStorage):
    """Deletes, but the connection breaks before it says so."""

    def delete(self, name: str) -> None:
        """Fail afterwards."""
        super().delete(name)
        raise ConnectionResetError("the connection was reset")
