"""The HTTP status of each error of this app, and the answer."""

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
    exceptions.NoKeptCopyError: 404,
    exceptions.RestoreBlockedError: 409,
    exceptions.RestoreRefusedError: 409,
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
    exceptions.NotEnoughSpaceError: 507,
    exceptions.BackupError: 500,
}


def status_of(error: exceptions.BackupError) -> int:
    return next(STATUS[ancestor] for ancestor in type(error).__mro__ if ancestor in STATUS)


def error_response(error: exceptions.BackupError) -> Response:
    """The message, the code and the hint, and after how many seconds to try again."""
    response = Response(BackupErrorSerializer(error).data, status=status_of(error))
    if isinstance(error, exceptions.TooManySnapshotsError | exceptions.TooManyUploadsError):
        response["Retry-After"] = str(error.retry_seconds)
    return response
