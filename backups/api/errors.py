"""The HTTP status of each error of this app, and the answer."""

from typing import Any

from rest_framework.response import Response

from backups import exceptions
from backups.api.serializers import BackupErrorSerializer

# A subclass has the status of its nearest ancestor in this table.
STATUS: dict[type[exceptions.BackupError], int] = {
    exceptions.InvalidSnapshotError: 400,
    exceptions.UploadInterruptedError: 400,
    exceptions.BadParameterError: 400,
    exceptions.NotResumableError: 412,
    exceptions.NoPendingRestoreError: 404,
    exceptions.NotStoredError: 404,
    exceptions.NoKeptCopyError: 404,
    exceptions.RestoreBlockedError: 409,
    exceptions.RestoreRefusedError: 409,
    exceptions.RestoreCancelledError: 409,
    exceptions.NotDecidedError: 409,
    exceptions.NotDeletableError: 409,
    exceptions.BusyError: 409,
    exceptions.IdentityError: 409,
    exceptions.StoredFileChangedError: 409,
    exceptions.LengthRequiredError: 411,
    exceptions.SnapshotTooLargeError: 413,
    exceptions.BodyTooLargeError: 413,
    exceptions.UnsupportedUploadError: 415,
    exceptions.SnapshotFailedError: 500,
    exceptions.StoreFolderError: 500,
    exceptions.BackupNotSupportedError: 501,
    exceptions.MissingPackageError: 501,
    exceptions.TooManySnapshotsError: 503,
    exceptions.TooManyUploadsError: 503,
    exceptions.DatabaseServerError: 503,
    exceptions.StorageError: 503,
    exceptions.NotEnoughSpaceError: 507,
    exceptions.StorageFullError: 507,
    exceptions.BackupError: 500,
}


def status_of(error: exceptions.BackupError) -> int:
    return status_of_kind(type(error))


def status_of_kind(kind: type[exceptions.BackupError]) -> int:
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)


def error_response(error: exceptions.BackupError) -> Response:
    """The message, the code and the hint, and after how many seconds to try again."""
    return _response(type(error), BackupErrorSerializer(error).data)


def error_answer(kind: type[exceptions.BackupError], message: str, hint: str) -> Response:
    """The same for an error of another process, of which no more is known."""
    return _response(kind, {"detail": message, "code": kind.code, "hint": hint})


def _response(kind: type[exceptions.BackupError], words: dict[str, Any]) -> Response:
    response = Response(words, status=status_of_kind(kind))
    if issubclass(kind, exceptions.TooManySnapshotsError | exceptions.TooManyUploadsError):
        response["Retry-After"] = str(kind.retry_seconds)
    return response
