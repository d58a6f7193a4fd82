"""A remote server's archive, over HTTP."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backups.archive import services
from backups.disk.progress import Progress
from backups.exceptions import BadParameterError
from backups.management.progress import Bar
from backups.management.targets import Json

if TYPE_CHECKING:
    from backups.client import BackupClient


class RemoteArchive:
    """The same as ``LocalArchive``, as far as the API has it. No secret key goes to a server."""

    def __init__(self, client: "BackupClient") -> None:
        self._client = client
        self.where = client.base_url

    def store(self, *, label: str | None, progress: Progress) -> Json:
        return self._client.store_backup(label)

    def list(self) -> Json:
        return self._client.list_backups()

    def get(self, word: str, **_: Any) -> Json:
        return self._client.get_backup(word)

    def save(self, stored: Json, path: Path, *, overwrite: bool, progress: Progress) -> None:
        """Write the stored file to a path, which has it only when it is whole and checked."""
        self._client.download_backup(stored["id"], path, overwrite=overwrite, progress=progress)

    def unpack(self, stored: Json, identity: Path | None) -> Iterator[bytes]:
        """The database in it, decrypted and unpacked on this machine."""
        with self._client.open_backup(stored["id"]) as arriving:
            yield from services.unpack_received(
                arriving,
                stored["name"],
                identity_file=identity,
                size=stored["database_size"],
                sha256=stored["database_sha256"],
            )

    def verify(self, word: str, identity: Path | None, progress: Progress) -> Json:
        """Let the server verify a stored snapshot, and keep the result."""
        _keep_here(
            identity, f"manage.py backups download {word}; manage.py backups verify PATH --identity"
        )
        return self._client.verify_backup(word)

    def restore(
        self,
        word: str,
        *,
        identity: Path | None,
        now: bool,
        accept: Collection[str],
        progress: Bar,
    ) -> Json:
        """Let the server stage a stored snapshot; apply it if ``now``."""
        unpack = f"manage.py backups download {word} --unpack --identity FILE -o snapshot.db"
        _keep_here(identity, f"{unpack}; manage.py restore_db snapshot.db")
        return self._client.restore_backup(word, now=now, accept=accept)

    def delete(self, word: str, *, force: bool) -> Json:
        answer: Json = self._client.delete_backup(word, force=force)["backup"]
        return answer

    def hold(self, word: str, *, reason: str) -> Json:
        return self._client.hold_backup(word, reason=reason)

    def release(self, word: str) -> Json:
        return self._client.release_backup(word)

    def verify_file(self, path: Path, identity: Path | None, progress: Progress) -> Json:
        raise BadParameterError(
            f"A file is verified only on the machine that runs the command, not at {self.where}.",
            hint="Leave --url out, or pass --local. To do it on the server, run the command there.",
        )


def _keep_here(identity: Path | None, instead: str) -> None:
    if identity is not None:
        raise BadParameterError(
            "--identity is never sent to a server. It has its own key (BACKUPS_IDENTITY_FILE).",
            hint=f"Use the key on this machine: {instead}",
        )
