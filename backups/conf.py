"""The app's settings: one property each, default in sight, read at the moment of use."""

from pathlib import Path
from typing import Any

from django.conf import settings

from backups.processes import memory


class Settings:
    """Read this app's settings from Django's, or give their defaults."""

    # Not a setting: true in a child process whose database is not the live one.
    is_child = False

    @property
    def database(self) -> str:
        """The alias in DATABASES of the database to take snapshots of."""
        return str(self._get("BACKUPS_DATABASE", "default"))

    @property
    def name(self) -> str:
        """The name in ``<name>-backup-<time>.db``; by default the project's own."""
        return str(self._get("BACKUPS_NAME", settings.ROOT_URLCONF.partition(".")[0]))

    @property
    def compact_up_to(self) -> int:
        """The largest database, in bytes, that is sent compact by default; 0 for none."""
        return int(self._get("BACKUPS_COMPACT_UP_TO", 256 * 1024**2))  # 256 MiB: under a second

    @property
    def snapshots_at_once(self) -> int:
        """How many snapshots may be under way in all processes that share the database."""
        return int(self._get("BACKUPS_SNAPSHOTS_AT_ONCE", 4))

    @property
    def spool_seconds(self) -> float:
        """How long a client may keep the WAL from being reset; then the rest is spooled."""
        return float(self._get("BACKUPS_SPOOL_SECONDS", 10))

    @property
    def stall_seconds(self) -> float:
        """How long a client may take or send nothing at all before its transfer is dropped."""
        return float(self._get("BACKUPS_STALL_SECONDS", 30))

    @property
    def min_bytes_per_second(self) -> float:
        """A client that is slower than this for long is dropped too."""
        return float(self._get("BACKUPS_MIN_BYTES_PER_SECOND", 32 * 1024))  # a line of 256 kbit/s

    @property
    def resume_seconds(self) -> float:
        """How long a compact download can be continued; 0 for not at all."""
        return float(self._get("BACKUPS_RESUME_SECONDS", 300))

    @property
    def max_upload_bytes(self) -> int:
        """The largest snapshot, in bytes, that is accepted for a restore."""
        return int(self._get("BACKUPS_MAX_UPLOAD_BYTES", 10 * 1024**3))  # 10 GiB

    @property
    def max_body_bytes(self) -> int:
        """The longest body, in bytes, of any other request: a form with a token needs little."""
        return int(self._get("BACKUPS_MAX_BODY_BYTES", 1024**2))  # 1 MiB

    @property
    def uploads_at_once(self) -> int:
        """How many uploads and checks may be under way in all processes of the site."""
        return int(self._get("BACKUPS_UPLOADS_AT_ONCE", 2))  # each can keep two cores busy

    @property
    def keep_free_bytes(self) -> int | None:
        """
        How many bytes of the disk uploads and snapshots leave free for the site; None for 64 MiB,
        or a twentieth of a small disk.
        """
        asked = self._get("BACKUPS_KEEP_FREE_BYTES", None)
        return None if asked is None else int(asked)

    @property
    def check_seconds(self) -> float:
        """How long SQLite's checks of an upload may take; about 2 s a GB on a common disk."""
        return float(self._get("BACKUPS_CHECK_SECONDS", 300))

    @property
    def check_memory_bytes(self) -> int:
        """How much memory each of the two processes of a check may take."""
        return int(self._get("BACKUPS_CHECK_MEMORY_BYTES", memory.DEFAULT))

    @property
    def migrate_seconds(self) -> float:
        """How long the migrations of an older snapshot may keep a start waiting."""
        return float(self._get("BACKUPS_MIGRATE_SECONDS", 900))  # 15 minutes

    @property
    def migrate_processor_seconds(self) -> float:
        """How much processor time they may take; by default as much as ``migrate_seconds``."""
        return float(self._get("BACKUPS_MIGRATE_PROCESSOR_SECONDS", self.migrate_seconds))

    @property
    def migrate_memory_bytes(self) -> int:
        """How much address space they may take, besides what the site's own imports take."""
        return int(self._get("BACKUPS_MIGRATE_MEMORY_BYTES", 4 * 1024**3))  # 4 GiB

    @property
    def migrate_tries(self) -> int:
        """How many starts may begin the migrations of one snapshot and not finish them."""
        return int(self._get("BACKUPS_MIGRATE_TRIES", 3))

    @property
    def clear_sessions(self) -> bool:
        """Whether the login sessions in a snapshot are removed while it is staged."""
        return bool(self._get("BACKUPS_CLEAR_SESSIONS", True))

    @property
    def allow_unknown_schema(self) -> bool:
        """Whether a snapshot may have triggers and views that the live database lacks."""
        return bool(self._get("BACKUPS_ALLOW_UNKNOWN_SCHEMA", False))

    @property
    def recogniser(self) -> str:
        """
        The path of a function that describes the database of another application: it takes the
        columns of each table, in lower case, and returns a sentence. Empty for none.
        """
        return str(self._get("BACKUPS_RECOGNISER", ""))

    @property
    def connection_setup(self) -> str:
        """
        The path of a function that takes a ``sqlite3.Connection`` and registers the site's own
        collations and SQL functions on it; empty to find them out from Django's connections.
        """
        return str(self._get("BACKUPS_CONNECTION_SETUP", ""))

    @property
    def python(self) -> str:
        """The path of the Python to run child processes with; empty for this process's own."""
        return str(self._get("BACKUPS_PYTHON", ""))

    @property
    def kept_copies(self) -> int:
        """How many kept copies stay after a restore: the newest ones; 0 for all."""
        return int(self._get("BACKUPS_KEPT_COPIES", 3))

    @property
    def kept_days(self) -> int:
        """How many days a kept copy stays at least, even if there are enough newer ones."""
        return int(self._get("BACKUPS_KEPT_DAYS", 7))

    @property
    def live_seconds(self) -> float:
        """How long a restore without a restart may keep writers waiting before it gives up."""
        return float(self._get("BACKUPS_LIVE_SECONDS", 30))

    @property
    def backup_permission(self) -> str:
        """Who may take a snapshot: the path of a DRF permission class."""
        return str(self._get("BACKUPS_BACKUP_PERMISSION", "backups.api.permissions.MayBackUp"))

    @property
    def restore_permission(self) -> str:
        """Who may stage, see and discard a restore: the path of a DRF permission class."""
        return str(self._get("BACKUPS_RESTORE_PERMISSION", "backups.api.permissions.MayRestore"))

    @property
    def key_file(self) -> Path | None:
        """Where the API keys are; None for a file beside the database."""
        path = self._get("BACKUPS_KEY_FILE", None)
        return Path(path) if path else None

    @property
    def extra_scopes(self) -> tuple[str, ...]:
        """The site's own scopes for keys, besides ``backup`` and ``restore``."""
        return tuple(self._get("BACKUPS_EXTRA_SCOPES", ()))

    @property
    def remote_url(self) -> str:
        """The server that the commands work on; empty for this machine's own store."""
        return str(self._get("BACKUPS_REMOTE_URL", ""))

    @property
    def remote_key(self) -> str:
        """The API key for that server."""
        return str(self._get("BACKUPS_REMOTE_KEY", ""))

    @property
    def remote_header(self) -> str:
        """The request header that carries that key, with its scheme if it has one."""
        return str(self._get("BACKUPS_REMOTE_HEADER", "X-Api-Key"))

    @property
    def remote_insecure(self) -> bool:
        """Whether the key may be sent to BACKUPS_REMOTE_URL in plain http."""
        return self._get("BACKUPS_REMOTE_INSECURE", False) is True  # "0" is not a yes

    @property
    def own_files(self) -> tuple[Path, ...]:
        """More files and folders of this site that no snapshot may overwrite."""
        return tuple(map(Path, self._get("BACKUPS_OWN_FILES", ()) or ()))

    def _get(self, name: str, default: object) -> Any:
        return getattr(settings, name, default)


conf = Settings()
