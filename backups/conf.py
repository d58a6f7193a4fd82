"""The app's settings, with their defaults. Each is read from Django's when it is used."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from django.conf import settings

from backups.processes import memory

T = TypeVar("T")

# With a snapshot an hour these rules keep 24 hours, 7 days, 5 weeks and 12 months. With one a night
# "hourly" keeps 24 nights, since it counts only the hours that have a snapshot.
DEFAULT_KEEP = {"last": 7, "hourly": 24, "daily": 7, "weekly": 5, "monthly": 12}


class Setting(Generic[T]):
    """One setting: its name, what turns its value into the right type, and its default."""

    def __init__(self, name: str, read: Callable[[Any], T], default: object) -> None:
        self._name = name
        self._read = read
        self._default = default

    def __get__(self, instance: object, owner: type) -> T:
        return self._read(_get(self._name, self._default))


def _get(name: str, default: object) -> Any:
    return getattr(settings, name, default)


def _number_or_none(given: Any) -> int | None:
    return None if given is None else int(given)


def _path_or_none(given: Any) -> Path | None:
    return Path(given) if given else None


def _texts_or_none(given: Any) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _text(given: Any) -> str:
    return str(given or "").strip()


def _duration_or_none(given: Any) -> timedelta | None:
    return given if given is None or isinstance(given, timedelta) else timedelta(seconds=given)


class Settings:
    """All settings of this app."""

    # Not a setting: true in a child process whose database is not the live one.
    is_child = False

    # The alias in DATABASES of the database to take snapshots of.
    database = Setting("BACKUPS_DATABASE", str, "default")

    @property
    def name(self) -> str:
        """The name in ``<name>-backup-<time>.db``; by default the project's own."""
        return str(_get("BACKUPS_NAME", settings.ROOT_URLCONF.partition(".")[0]))

    # Where a database that is no file keeps what is this machine's own: temporary files, the media
    # cache, and, unless they have settings of their own, the stored snapshots and the keys. None
    # for a folder of this user below /var/tmp, for what may be lost.
    folder = Setting("BACKUPS_FOLDER", _path_or_none, None)
    # The folder of the newest pg_dump and pg_restore; None to look in the usual places.
    postgres_programs = Setting("BACKUPS_POSTGRES_PROGRAMS", _path_or_none, None)
    # What is other than in DATABASES where backups connect to a PostgreSQL server, by the names of
    # libpq: {"host": …, "port": …}, for a site that reaches it through a pooler.
    postgres_connection = Setting[dict[str, Any]](
        "BACKUPS_POSTGRES_CONNECTION", lambda given: dict(given or {}), None
    )
    # The database that a restore begins with: one with the extensions that the site's role may not
    # create itself.
    postgres_template = Setting("BACKUPS_POSTGRES_TEMPLATE", str, "template0")

    # Snapshots

    # The largest database, in bytes, that is sent compact by default; 0 for none.
    compact_up_to = Setting("BACKUPS_COMPACT_UP_TO", int, 256 * 1024**2)  # 256 MiB: under a second
    # How many snapshots may be under way in all processes that share the database.
    snapshots_at_once = Setting("BACKUPS_SNAPSHOTS_AT_ONCE", int, 4)
    # How long a client may keep the WAL from being reset; then the rest is spooled.
    spool_seconds = Setting("BACKUPS_SPOOL_SECONDS", float, 10)
    # How long a client may take or send nothing at all before its transfer is dropped.
    stall_seconds = Setting("BACKUPS_STALL_SECONDS", float, 30)
    # A client that is slower than this for long is dropped too. The default: a line of 256 kbit/s.
    min_bytes_per_second = Setting("BACKUPS_MIN_BYTES_PER_SECOND", float, 32 * 1024)
    # How long a compact download can be continued; 0 for not at all.
    resume_seconds = Setting("BACKUPS_RESUME_SECONDS", float, 300)

    # Uploads and their checks

    # The largest snapshot, in bytes, that is accepted for a restore.
    max_upload_bytes = Setting("BACKUPS_MAX_UPLOAD_BYTES", int, 10 * 1024**3)  # 10 GiB
    # The longest body, in bytes, of any other request: a form with a token needs little.
    max_body_bytes = Setting("BACKUPS_MAX_BODY_BYTES", int, 1024**2)  # 1 MiB
    # How many uploads and checks may be under way in all processes of the site.
    uploads_at_once = Setting("BACKUPS_UPLOADS_AT_ONCE", int, 2)  # each can keep all cores busy
    # How many bytes of the disk uploads and snapshots leave free for the site; None for 64 MiB, or
    # a twentieth of a small disk.
    keep_free_bytes = Setting("BACKUPS_KEEP_FREE_BYTES", _number_or_none, None)
    # How long SQLite's checks of an upload may take; about 7 s a GB on two cores.
    check_seconds = Setting("BACKUPS_CHECK_SECONDS", float, 300)
    # How many processes may share the check of an upload; 0 for as many as there are cores.
    check_processes = Setting("BACKUPS_CHECK_PROCESSES", int, 0)
    # How much memory the first process of a check may take, and all others together as much again.
    check_memory_bytes = Setting("BACKUPS_CHECK_MEMORY_BYTES", int, memory.DEFAULT)
    # Whether the login sessions in a snapshot are removed while it is staged.
    clear_sessions = Setting("BACKUPS_CLEAR_SESSIONS", bool, True)
    # Whether a snapshot may have triggers and views that the live database lacks.
    allow_unknown_schema = Setting("BACKUPS_ALLOW_UNKNOWN_SCHEMA", bool, False)
    # The path of a function that describes the database of another application: it takes the
    # columns of each table, in lower case, and returns a sentence. Empty for none.
    recogniser = Setting("BACKUPS_RECOGNISER", str, "")
    # The path of a function that takes a ``sqlite3.Connection`` and registers the site's own
    # collations and SQL functions on it; empty to find them out from Django's connections.
    connection_setup = Setting("BACKUPS_CONNECTION_SETUP", str, "")
    # The path of the Python to run child processes with; empty for this process's own.
    python = Setting("BACKUPS_PYTHON", str, "")

    # Restores

    # How long the migrations of an older snapshot may keep a start waiting.
    migrate_seconds = Setting("BACKUPS_MIGRATE_SECONDS", float, 900)  # 15 minutes

    @property
    def migrate_processor_seconds(self) -> float:
        """How much processor time they may take; by default as much as ``migrate_seconds``."""
        return float(_get("BACKUPS_MIGRATE_PROCESSOR_SECONDS", self.migrate_seconds))

    # How much address space they may take, besides what the site's own imports take.
    migrate_memory_bytes = Setting("BACKUPS_MIGRATE_MEMORY_BYTES", int, 4 * 1024**3)  # 4 GiB
    # How many starts may begin the migrations of one snapshot and not finish them.
    migrate_tries = Setting("BACKUPS_MIGRATE_TRIES", int, 3)
    # How many kept copies stay after a restore: the newest ones; 0 for all.
    kept_copies = Setting("BACKUPS_KEPT_COPIES", int, 3)
    # How many days a kept copy stays at least, even if there are enough newer ones.
    kept_days = Setting("BACKUPS_KEPT_DAYS", int, 7)
    # How long a restore without a restart may keep writers waiting before it gives up.
    live_seconds = Setting("BACKUPS_LIVE_SECONDS", float, 30)

    # Stored snapshots. Where they are stored: STORAGES["backups"]

    # The public keys (age1…, or SSH) to encrypt snapshots to; none to leave snapshots unencrypted.
    recipients = Setting[tuple[str, ...]]("BACKUPS_RECIPIENTS", tuple, ())
    # The file with the secret key that decrypts snapshots; None if this machine must not read them.
    identity_file = Setting("BACKUPS_IDENTITY_FILE", _path_or_none, None)
    # How hard zstd tries, from 1 to 22.
    compression_level = Setting("BACKUPS_COMPRESSION_LEVEL", int, 3)
    # Whether a backup stores nothing if nothing has changed since the last stored snapshot.
    skip_unchanged = Setting("BACKUPS_SKIP_UNCHANGED", bool, True)
    # Whether the media files, which are in STORAGES["default"], are stored with each snapshot.
    media = Setting("BACKUPS_MEDIA", bool, False)
    # Which media files are not stored: patterns of their names, e.g. "thumbnails/*".
    media_leave_out = Setting[tuple[str, ...]]("BACKUPS_MEDIA_LEAVE_OUT", tuple, ())
    # How many seconds a request waits for its job. After that it answers that the job goes on.
    job_seconds = Setting("BACKUPS_JOB_SECONDS", float, 20)
    # How many stored snapshots stay, by rule, as restic's ``forget`` counts; None for all.
    keep = Setting("BACKUPS_KEEP", lambda given: given, DEFAULT_KEEP)
    # The site's own release, for the manifests.
    release = Setting("BACKUPS_RELEASE", str, "")
    # When a snapshot is stored: a cron expression in the site's time zone; empty for no schedule.
    schedule = Setting("BACKUPS_SCHEDULE", str, "")
    # By how many seconds at most a scheduled backup begins later, at random.
    schedule_jitter = Setting("BACKUPS_SCHEDULE_JITTER", float, 0)
    # When a scheduled backup verifies the newest snapshot: "always", "daily" or "never".
    verify = Setting("BACKUPS_VERIFY", str, "daily")
    # Whether ``migrate`` stores a snapshot before it changes anything.
    before_migrate = Setting("BACKUPS_BEFORE_MIGRATE", bool, False)

    # Notices and monitoring

    # The addresses that get mail; None for those in ADMINS.
    notify_mail = Setting[tuple[str, ...] | None]("BACKUPS_NOTIFY_MAIL", _texts_or_none, None)
    # The URL that gets a POST with JSON; empty for none.
    webhook = Setting("BACKUPS_WEBHOOK", _text, "")
    # The URL of a monitor that expects a request for each backup; empty for none.
    ping_url = Setting("BACKUPS_PING_URL", _text, "")
    # After how many hours people are told again of a failure that lasts.
    remind_hours = Setting("BACKUPS_REMIND_HOURS", float, 24)
    # How old the content of the newest verified snapshot may be; None to go by the schedule.
    max_age = Setting("BACKUPS_MAX_AGE", _duration_or_none, None)
    # Whether anybody may read the metrics, without a key.
    metrics_open = Setting("BACKUPS_METRICS_OPEN", bool, False)

    # Who may do what

    # Who may take a snapshot, and who may stage, see and discard a restore: the paths of DRF
    # permission classes.
    backup_permission = Setting(
        "BACKUPS_BACKUP_PERMISSION", str, "backups.api.permissions.MayBackUp"
    )
    restore_permission = Setting(
        "BACKUPS_RESTORE_PERMISSION", str, "backups.api.permissions.MayRestore"
    )
    # Where the API keys are; None for a file beside the database.
    key_file = Setting("BACKUPS_KEY_FILE", _path_or_none, None)
    # The site's own scopes for keys, besides ``backup`` and ``restore``.
    extra_scopes = Setting[tuple[str, ...]]("BACKUPS_EXTRA_SCOPES", tuple, ())
    # More files and folders of this site that no snapshot may overwrite.
    own_files = Setting("BACKUPS_OWN_FILES", lambda given: tuple(map(Path, given or ())), ())

    # A remote server for the commands

    # Its URL; empty for this machine's own store.
    remote_url = Setting("BACKUPS_REMOTE_URL", str, "")
    # The API key for that server, and the request header that carries it, with its scheme if any.
    remote_key = Setting("BACKUPS_REMOTE_KEY", str, "")
    remote_header = Setting("BACKUPS_REMOTE_HEADER", str, "X-Api-Key")
    # Whether the key may be sent there in plain http.
    remote_insecure = Setting("BACKUPS_REMOTE_INSECURE", lambda given: given is True, False)


conf = Settings()
