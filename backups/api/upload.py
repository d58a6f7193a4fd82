"""The file that a request uploads, as it arrives."""

from collections.abc import Iterator

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from backups.exceptions import LengthRequiredError, NotADatabaseError, UnsupportedUploadError

ACCEPTED_CODINGS = ("gzip", "x-gzip", "zstd")


class Upload:
    """The bytes of an uploaded file, in order, to be read once."""

    def __init__(self, chunks: Iterator[bytes], *, at_least: int, name: str = "") -> None:
        self._chunks = chunks
        self.at_least = at_least  # bytes, by the request's length
        self.name = name  # of the file, as the client calls it; empty if it says nothing

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks


def upload_of(request: Request) -> Upload:
    """
    The file, still unread; of a form, only the fields before the file are read.

    :raises LengthRequiredError: the request does not say how long its body is.
    :raises UnsupportedUploadError: the body has a type or a coding that is not accepted.
    :raises UploadInterruptedError: the form is not whole.
    :raises NotADatabaseError: there is no body.
    """
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise LengthRequiredError(
            "The upload has no Content-Length, so a cut-off upload could not be noticed."
        )
    _check_coding(request)
    try:
        upload = request.FILES.get("file")
    except UnsupportedMediaType as error:
        raise UnsupportedUploadError(
            f"An upload of the type {request.content_type or 'unknown'} is not accepted."
        ) from error
    if not isinstance(upload, Upload):  # without a body there was nothing to parse
        raise NotADatabaseError("The upload is empty (0 bytes).")
    return upload


def _check_coding(request: Request) -> None:
    """Accept a body in gzip or zstd: its first bytes show how to unpack it as it arrives."""
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    is_form = request.content_type.startswith(MultiPartParser.media_type)
    if coding != "identity" and (is_form or coding not in ACCEPTED_CODINGS):
        raise UnsupportedUploadError(
            f"An upload with the Content-Encoding {coding} is not accepted.",
            hint="Send the file itself as the body, plain or packed by gzip or zstd.",
        )
