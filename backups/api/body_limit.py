"""
Limit the bodies of requests that are not uploads.

Only an upload is read as it arrives. Django reads any other body whole to find a form's CSRF token,
before anybody checks who the user is. So a body that is longer than such a form is refused by its
length, unread.
"""

from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest

from backups.conf import conf
from backups.exceptions import BodyTooLargeError, LengthRequiredError

BODILESS = ("GET", "HEAD", "OPTIONS")  # their bodies are not read


def refuse_large_body(request: HttpRequest) -> None:
    """
    Look at the headers only.

    :raises BodyTooLargeError: the body is longer than BACKUPS_MAX_BODY_BYTES.
    :raises LengthRequiredError: it is sent in chunks, so its length is unknown.
    """
    if "HTTP_TRANSFER_ENCODING" in request.META and request.method not in BODILESS:
        raise LengthRequiredError(
            "The request has a body, but no Content-Length.", hint="Send it with its length."
        )
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()) or int(length) > conf.max_body_bytes:
        raise BodyTooLargeError(
            f"The body has {length} bytes; at most {conf.max_body_bytes:,} are read here."
        )


def keep_files_in_memory(request: HttpRequest) -> None:
    """Don't write a file that somebody puts into this form to the disk."""
    if not hasattr(request, "_files"):  # else some middleware has parsed the form already
        request.upload_handlers = [MemoryFileUploadHandler(request)]
