"""
Every error of this app. Each says what happened to which file; its hint says what to do next.

    BackupError
    ├── BackupNotSupportedError      the database is of a kind that can't be copied or replaced
    ├── SnapshotFailedError          no snapshot could be written
    ├── TooManySnapshotsError        as many are under way as may be at once
    ├── TooManyUploadsError          as many uploads and checks are under way as may be at once
    ├── NotEnoughSpaceError          the disk is too full
    ├── SnapshotTooLargeError        past the size limit for uploads
    ├── BodyTooLargeError            past the size limit for any other request
    ├── NotResumableError            the rest of a snapshot that is not named, or is gone
    ├── BadParameterError            the URL has an invalid parameter
    ├── LengthRequiredError          the upload does not say how long it is
    ├── UnsupportedUploadError       the upload is of a type that is not accepted
    ├── UploadInterruptedError       the upload ended early, or can't be read
    │   └── UploadAbandonedError     its client hung up while it was being checked
    ├── InvalidSnapshotError         the upload is not a whole snapshot of this site
    │   ├── NotADatabaseError        empty, a text file, a picture …
    │   ├── OtherKindError           of another kind of database than the site's
    │   ├── WrongLengthError         cut off, or something was appended
    │   ├── DamagedSnapshotError     damaged: e.g. it fails SQLite's integrity check
    │   ├── BrokenReferencesError    fails SQLite's foreign key check
    │   ├── ForeignDatabaseError     another application's database
    │   ├── NewerSnapshotError       made by a newer release than this one, or a newer pg_dump
    │   ├── InconsistentHistoryError Django would refuse to migrate it
    │   ├── MissingTablesError       lacks tables that its migrations promise
    │   ├── UnknownSchemaError       has triggers, views … that this site does not have
    │   ├── UnfitRowsError           has values that this site's database can't hold
    │   ├── UnknownFunctionError     its schema uses a collation or function that is not known
    │   ├── CheckTimedOutError       the check did not end within its time limit
    │   └── CheckOutOfMemoryError    the check needed more memory than it may have
    ├── NoPendingRestoreError        there is nothing to discard, or to apply
    ├── NoKeptCopyError              there is nothing to go back to
    ├── RestoreBlockedError          can't be applied now; it stays pending
    │   ├── NeedsRestartError        can't be applied while the site runs; a start can
    │   └── MigrationStoppedError    its migrations took too much time or memory
    ├── RestoreCancelledError        somebody cancelled it before it was staged
    ├── NotDecidedError              nobody decided in time what becomes of it
    ├── RestoreRefusedError          can't ever be applied; it is set aside
    ├── ChildFailedError             a process of this app was stopped from outside
    │   └── ChildNotStartedError     it did not even start
    ├── BusyError                    another process is at the same work
    ├── ArchiveError                 a stored snapshot can't be written, found, read or deleted
    │   ├── StorageError             the storage failed, refused, or has less than it should have
    │   │   ├── StorageFullError     the storage has no room for the snapshot
    │   │   └── StoredFileChangedError  a stored file is not what was stored
    │   ├── NotStoredError           there is no stored snapshot of that name
    │   ├── NotDeletableError        a stored snapshot is held, in use, or the last good one
    │   ├── KeepError                BACKUPS_KEEP does not say which snapshots stay
    │   ├── RecipientError           BACKUPS_RECIPIENTS has something else than public keys
    │   ├── IdentityError            a stored snapshot is encrypted, and no secret key fits
    │   ├── MissingPackageError      an optional package is not installed
    │   └── BadScheduleError         BACKUPS_SCHEDULE is not a cron expression
    ├── NoticeError                  a notice could not be sent
    ├── StoreFolderError             the database's folder refuses a read or a write
    │   └── WrongUserError           this user would leave files that the site can't write
    ├── DatabaseServerError          the database server can't be reached, or refuses a step
    ├── DestinationError             a file can't be written at the given path
    ├── OwnFileError                 a path names the live database, or one of its files
    ├── ApiKeyError                  a key can't be made or read
    │   ├── KeyFileError             the key file can't be trusted
    │   └── KeyNameError             the name is taken, or can't be the name of a key
    └── ClientError                  a remote server could not be used
        ├── InsecureServerError      the key would travel in plain http
        ├── ServerUnreachableError   no answer at all
        ├── ServerRefusedError       the server said no, and why
        ├── OutcomeUnknownError      an answer that is not from the site: the outcome is unknown
        └── TransferInterruptedError the connection ended in the middle

This module imports nothing, so that every other module may import it.
"""

# What a terminal obeys or hides instead of showing it: control characters, line separators, marks
# that change the direction of the text, invisible characters. Line feed and tab stay, and the two
# joiners (U+200C, U+200D): some scripts and emoji need them.
UNSHOWN = (
    *(*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0xAD),
    *(0x61C, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070)),
    *(0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)),
)
WRITTEN_OUT = {code: chr(code).encode("unicode_escape").decode() for code in UNSHOWN}


class BackupError(Exception):
    """The base of all errors of this app: ``str()`` is the message, ``hint`` the next step."""

    code = "error"
    hint = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # A message may end with a quotation that has a full stop itself.
        ends_twice = message.endswith("..") and not message.endswith("...")
        super().__init__(printable(message[:-1] if ends_twice else message))
        if hint is not None:
            self.hint = printable(hint)


def printable(text: str) -> str:
    """
    The same text, safe to show: what a terminal would obey or hide is escaped (``\\x1b``), and so
    are bytes in a file name that are not UTF-8.
    """
    return text.encode(errors="backslashreplace").decode().translate(WRITTEN_OUT)


class BackupNotSupportedError(BackupError):
    """The database is neither SQLite in a file nor PostgreSQL, or this can't be done with it."""

    code = "not_supported"
    hint = "Use SQLite in a file, or PostgreSQL, to have snapshots and restores."


class SnapshotFailedError(BackupError):
    """The database could not be read, or its snapshot could not be written."""

    code = "snapshot_failed"
    hint = "Nothing was changed. Check whether the database itself is damaged or missing."


class TooManySnapshotsError(BackupError):
    """As many snapshots are under way as BACKUPS_SNAPSHOTS_AT_ONCE allows."""

    code = "too_many_snapshots"
    retry_seconds = 10  # most have ended by then
    hint = f"Try again in {retry_seconds} seconds, or raise BACKUPS_SNAPSHOTS_AT_ONCE."


class TooManyUploadsError(BackupError):
    """As many uploads and checks are under way as BACKUPS_UPLOADS_AT_ONCE allows."""

    code = "too_many_uploads"
    retry_seconds = 10  # a check of a gigabyte takes about two
    hint = (
        f"Nothing was staged. Try again in {retry_seconds} seconds, or raise"
        " BACKUPS_UPLOADS_AT_ONCE."
    )


class NotEnoughSpaceError(BackupError):
    """The disk has less room than the snapshot or the upload needs. Sizes are in bytes."""

    code = "not_enough_space"
    hint = "Free some space on that disk, then try again."

    def __init__(
        self, message: str, *, needed_bytes: int, free_bytes: int, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes


class SnapshotTooLargeError(BackupError):
    """The upload is larger than BACKUPS_MAX_UPLOAD_BYTES."""

    code = "too_large"
    hint = "If snapshots may be this large, raise BACKUPS_MAX_UPLOAD_BYTES."


class BodyTooLargeError(BackupError):
    """The body of a request that is not an upload is longer than BACKUPS_MAX_BODY_BYTES."""

    code = "body_too_large"
    hint = "Send less at once. If bodies may be this long, raise BACKUPS_MAX_BODY_BYTES."


class NotResumableError(BackupError):
    """
    A download can't be continued (RFC 9110, 412 Precondition Failed).

    With the status 416, wget and curl would take the part that they have for the whole.
    """

    code = "not_resumable"
    hint = "Remove the part that was downloaded, and download the snapshot from its beginning."


class BadParameterError(BackupError):
    """A parameter in the URL has an invalid value."""

    code = "bad_parameter"
    hint = "Nothing was done."


class LengthRequiredError(BackupError):
    """The upload has no Content-Length (RFC 9110, 411 Length Required)."""

    code = "length_required"
    hint = "Send the file from disk and not from a pipe, or save it first."


class UnsupportedUploadError(BackupError):
    """The upload's Content-Type is not one that a snapshot may have."""

    code = "unsupported_upload"
    hint = (
        "Send a form with the file in the field 'file', or the file itself as"
        " application/vnd.sqlite3, application/octet-stream, application/gzip or"
        " application/zstd."
    )


class UploadInterruptedError(BackupError):
    """The request ended before its body was whole, or its body is not in the stated format."""

    code = "upload_interrupted"
    hint = "Nothing was staged. Send the snapshot again."


class UploadAbandonedError(UploadInterruptedError):
    """The client hung up while its upload was being checked, so the check was stopped."""

    code = "upload_abandoned"


class InvalidSnapshotError(BackupError):
    """The upload is not a whole snapshot of this site. Nothing has changed."""

    code = "invalid_snapshot"
    hint = "Nothing was staged. Send a file that came from this site's backup."


class NotADatabaseError(InvalidSnapshotError):
    """The file is empty, or does not begin like a snapshot."""

    code = "not_a_database"


class OtherKindError(InvalidSnapshotError):
    """It is a snapshot of another kind of database than the site's, which can't take it."""

    code = "other_kind"


class WrongLengthError(InvalidSnapshotError):
    """The file is shorter or longer than its own header says."""

    code = "wrong_length"
    hint = "Nothing was staged. The file was damaged on its way: download or copy it again."


class DamagedSnapshotError(InvalidSnapshotError):
    """SQLite's integrity check found damage, or a file or a dump can't be read to its end."""

    code = "damaged"
    hint = "Nothing was staged. Use another copy of this snapshot, or an older one."


class BrokenReferencesError(InvalidSnapshotError):
    """Rows refer to rows that do not exist."""

    code = "broken_references"


class ForeignDatabaseError(InvalidSnapshotError):
    """A whole database, but not one of this site."""

    code = "foreign_database"


class NewerSnapshotError(InvalidSnapshotError):
    """The snapshot has migrations that this release does not know, or a newer pg_dump made it."""

    code = "newer_release"
    hint = "Nothing was staged. Update this site to the release that made the snapshot first."


class InconsistentHistoryError(InvalidSnapshotError):
    """It needs migrations, and Django refuses to run any on its history."""

    code = "inconsistent_history"
    hint = (
        "Nothing was staged. Restore it with the release that made it, put its table"
        " django_migrations in order there, and take a new backup."
    )


class MissingTablesError(InvalidSnapshotError):
    """It lacks tables or columns that its migrations promise."""

    code = "missing_tables"


class UnknownSchemaError(InvalidSnapshotError):
    """
    It has a trigger, view, virtual table, clause or generated column that this site lacks; or it is
    a dump with a statement that no site's tables need.
    """

    code = "unknown_schema"
    hint = (
        "Nothing was staged. If it is meant to be there, set BACKUPS_ALLOW_UNKNOWN_SCHEMA = True"
        " and try again."
    )


class UnfitRowsError(InvalidSnapshotError):
    """It comes from another kind of database, and this one can't hold some of its values."""

    code = "unfit_rows"
    hint = "Nothing was staged. Mend these rows where the snapshot comes from, and take a new one."


class UnknownFunctionError(InvalidSnapshotError):
    """Its schema uses a collation, an SQL function or a module that the check does not know."""

    code = "unknown_function"
    hint = (
        "Nothing was staged. If this site's connections have it, set BACKUPS_CONNECTION_SETUP to"
        " the path of a function that registers it on a connection, and try again."
    )


class CheckTimedOutError(InvalidSnapshotError):
    """The check was stopped at its time limit."""

    code = "check_timed_out"
    hint = "Nothing was staged. If snapshots may be this large, raise BACKUPS_CHECK_SECONDS."


class CheckOutOfMemoryError(InvalidSnapshotError):
    """The check was stopped at its memory limit."""

    code = "check_out_of_memory"
    hint = (
        "Nothing was staged. A value or an expression in the file needs more memory. If"
        " snapshots may have values of hundreds of megabytes, raise BACKUPS_CHECK_MEMORY_BYTES."
    )


class NoPendingRestoreError(BackupError):
    """Nothing is pending, so there is nothing to discard or to apply."""

    code = "nothing_pending"
    hint = "Stage a snapshot first."


class NoKeptCopyError(BackupError):
    """There is no kept copy to undo a restore with."""

    code = "nothing_kept"
    hint = "See what is kept with manage.py restore_db --list."


class RestoreBlockedError(BackupError):
    """The pending restore can't be applied at this start. It stays pending."""

    code = "blocked"
    hint = "The site runs on its old data. Fix the cause, then restart the server."


class NeedsRestartError(RestoreBlockedError):
    """The pending restore can't be applied while the site runs. It stays pending."""

    code = "needs_restart"
    hint = "It stays pending: restart the server to apply it, or discard it."


class MigrationStoppedError(RestoreBlockedError):
    """The migrations of the pending restore took more time or memory than they may have."""

    code = "migration_stopped"


class RestoreCancelledError(BackupError):
    """Somebody has cancelled a restore before it was staged."""

    code = "cancelled"
    hint = "Nothing was staged."


class NotDecidedError(BackupError):
    """A restore was checked, and nobody has decided in time what becomes of it."""

    code = "not_decided"
    hint = "Nothing was staged. Send the snapshot again, or choose a stored one again."


class RestoreRefusedError(BackupError):
    """The pending restore can't be applied at all. It is set aside."""

    code = "refused"
    hint = "The site runs on its old data. Stage a good snapshot to try again."


class ChildFailedError(BackupError):
    """The machine stopped a process of this app. This says nothing about the file it worked on."""

    code = "process_failed"
    hint = "Nothing was changed. Check the limits and the memory of this service, then try again."


class ChildNotStartedError(ChildFailedError):
    """A process of this app did not start its work: no Python was found, or it did not run."""

    code = "process_not_started"
    hint = "Nothing was changed. BACKUPS_PYTHON can name the Python to run child processes with."


class BusyError(BackupError):
    """Another process is at the same work, which must not be done twice at once."""

    code = "busy"
    hint = "Wait for its end, then try again."


class ArchiveError(BackupError):
    """A stored snapshot can't be written, found, read or deleted."""

    code = "archive"


class StorageError(ArchiveError):
    """The storage failed, refused, or has less than it should have."""

    code = "storage"
    hint = "Check the storage that STORAGES['backups'] names: its address, keys and free space."


class StorageFullError(StorageError):
    """The storage has no room for the snapshot. Nothing was stored."""

    code = "storage_full"
    hint = "Free some space there, or lower BACKUPS_KEEP so that fewer snapshots stay."


class StoredFileChangedError(StorageError):
    """A stored file is shorter or longer than it was when it was stored."""

    code = "stored_file_changed"
    hint = "Use another stored snapshot, or another copy of this one."


class NotStoredError(ArchiveError):
    """There is no stored snapshot of that name."""

    code = "not_stored"
    hint = "See what is stored with: manage.py backups list"


class NotDeletableError(ArchiveError):
    """A stored snapshot is held, in use, or the last good one. It was not deleted."""

    code = "not_deletable"
    hint = "Nothing was deleted."

    def __init__(self, message: str, *, hint: str | None = None, by_force: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.by_force = by_force  # whether whoever insists may delete it all the same


class KeepError(ArchiveError):
    """BACKUPS_KEEP does not say which stored snapshots stay. Nothing was deleted."""

    code = "keep"
    hint = (
        "Set whole numbers, e.g. BACKUPS_KEEP = {'last': 7, 'daily': 7, 'weekly': 5}; or None to"
        " keep everything."
    )


class RecipientError(ArchiveError):
    """BACKUPS_RECIPIENTS has an entry that is not a public key. Nothing was stored."""

    code = "recipient"
    hint = "Make a pair of keys with: manage.py backups keygen"


class IdentityError(ArchiveError):
    """A stored snapshot is encrypted, and there is no secret key, or none that fits."""

    code = "identity"
    hint = "Name the file with the secret key: --identity FILE, or BACKUPS_IDENTITY_FILE."


class MissingPackageError(ArchiveError):
    """An optional package is not installed."""

    code = "missing_package"


class BadScheduleError(ArchiveError):
    """BACKUPS_SCHEDULE is not a cron expression, or names a time that never comes."""

    code = "bad_schedule"
    hint = "Set BACKUPS_SCHEDULE to five fields: '0 3 * * *' is every day at 3:00."


class NoticeError(BackupError):
    """A notice could not be sent. The backup that it reports is not affected."""

    code = "notice"


class StoreFolderError(BackupError):
    """The system refused a step in the database's folder: no permission, read-only, I/O error."""

    code = "store_folder"
    hint = "Check the folder's owner, mode and disk, then try again."


class WrongUserError(StoreFolderError):
    """This process's user may only read the database. Nothing was opened or created."""

    code = "wrong_user"


class DatabaseServerError(BackupError):
    """The database server can't be reached, lacks what this needs, or refuses a step."""

    code = "database_server"
    hint = (
        "Check the server, and the NAME, HOST, PORT, USER and PASSWORD in DATABASES, then try"
        " again."
    )


class DestinationError(BackupError):
    """A file can't be written at the given path. A file that was there is unchanged."""

    code = "destination"


class OwnFileError(BackupError):
    """A path names the live database, or a file that belongs to it."""

    code = "own_file"


class ApiKeyError(BackupError):
    """A key could not be made or read."""

    code = "api_key"


class KeyFileError(ApiKeyError):
    """The key file can't be trusted, so every key is refused."""

    code = "key_file"
    hint = "Correct it, or move it away and make new keys with: manage.py create_api_key NAME."


class KeyNameError(ApiKeyError):
    """Another key already has that name, or no key can have it."""

    code = "key_name"


class ClientError(BackupError):
    """A remote server could not be used."""

    code = "client"


class InsecureServerError(ClientError):
    """The key would be sent in plain http to another machine. Nothing was sent."""

    code = "insecure"
    hint = (
        "Use https. On a network that you trust, e.g. a VPN, pass --insecure, or set"
        " BACKUPS_REMOTE_INSECURE = True beside BACKUPS_REMOTE_URL."
    )


class ServerUnreachableError(ClientError):
    """The server did not answer."""

    code = "unreachable"
    hint = "Check the URL, and that the server runs."


class ServerRefusedError(ClientError):
    """The server said no: ``status`` is its HTTP status, ``code`` its own code if it sent one."""

    code = "refused_by_server"

    def __init__(self, message: str, *, status: int, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        if code:
            self.code = code


class OutcomeUnknownError(ClientError):
    """Something between here and the site answered a request that may have changed the site."""

    code = "outcome_unknown"
    hint = "Ask with manage.py restore_db --status before you try again."


class TransferInterruptedError(ClientError):
    """The connection ended before the transfer was whole."""

    code = "transfer_interrupted"
    hint = "Try again."


def kind_of(code: str) -> type[BackupError]:
    """The class of errors with this ``code``; ``BackupError`` if there is none."""
    kinds = [BackupError]
    for kind in kinds:
        if kind.code == code:
            return kind
        kinds += kind.__subclasses__()
    return BackupError


def codes(kind: type[BackupError] = BackupError) -> frozenset[str]:
    """Every ``code`` that an answer of this app can have."""
    return frozenset({kind.code}).union(*map(codes, kind.__subclasses__()))
