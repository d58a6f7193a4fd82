"""
Parsers that pass an upload on while it arrives: no temporary file, nothing kept in memory.

``request.data["file"]`` is an ``Upload`` whose bytes are still in the socket. They are read when
the view iterates over it, after authentication and permissions. Only a form's first fields are read
at once: the browser sends the CSRF token before the file.

Source: https://www.rfc-editor.org/rfc/rfc7578 (multipart/form-data)
"""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.request import Request

from backups.api.socket_timeout import PacedStream
from backups.api.upload import Upload
from backups.exceptions import UploadInterruptedError

CHUNK_BYTES = 1024 * 1024  # 1 MiB, as gunicorn reads: with less, it copies each byte twice
FIELDS_BYTES = 64 * 1024  # room for a form's boundaries, headers and small fields
FIELD = "file"
MOST_LETTERS = 200  # of the file's name


class RawUploadParser(BaseParser):
    """The body is the file, of whichever kind."""

    media_type = "application/octet-stream"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> "DataAndFiles[Any, Any]":
        """Reads nothing yet."""
        request = _request(parser_context)
        length = _content_length(request)
        chunks = _exactly(length, PacedStream(stream, request.META))
        return _parsed({}, Upload(chunks, at_least=length))


class SqliteUploadParser(RawUploadParser):
    """The body is the file, sent with SQLite's own media type (registered with IANA)."""

    media_type = "application/vnd.sqlite3"


class GzipUploadParser(RawUploadParser):
    """The body is the file in gzip (RFC 6713). Its first bytes decide, not this type."""

    media_type = "application/gzip"


class ZstdUploadParser(RawUploadParser):
    """The body is the file in zstd (RFC 8878)."""

    media_type = "application/zstd"


class MultiPartUploadParser(BaseParser):
    """A form whose field ``file`` is the file."""

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> "DataAndFiles[Any, Any]":
        """Reads the form up to the beginning of the file."""
        request = _request(parser_context)
        at_least = max(0, _content_length(request) - FIELDS_BYTES)
        events = _events(PacedStream(stream, request.META), _boundary(request))
        fields, name = _leading_fields(events)
        return _parsed(fields, Upload(_file_chunks(events), at_least=at_least, name=name))


UPLOAD_PARSERS = (
    MultiPartUploadParser,
    RawUploadParser,
    SqliteUploadParser,
    GzipUploadParser,
    ZstdUploadParser,
)


def _parsed(fields: dict[str, str], upload: Upload) -> "DataAndFiles[Any, Any]":
    data = QueryDict(mutable=True)
    data.update(fields)
    return DataAndFiles(data, MultiValueDict({FIELD: [upload]}))


def _request(parser_context: Mapping[str, Any] | None) -> Request:
    assert parser_context is not None
    request: Request = parser_context["request"]
    return request


def _content_length(request: Request) -> int:
    return int(request.META.get("CONTENT_LENGTH") or 0)


def _boundary(request: Request) -> str:
    boundary: str | None = (request._request.content_params or {}).get("boundary")
    if not boundary:
        raise UploadInterruptedError("The form has no boundary in its Content-Type header.")
    return boundary


def _exactly(length: int, stream: PacedStream) -> Iterator[bytes]:
    """The body's bytes. An error if the client leaves before it is whole."""
    received = 0
    while received < length:
        chunk = _read(stream, min(CHUNK_BYTES, length - received))
        if not chunk:
            raise UploadInterruptedError(
                f"The upload ended after {received:,} of {length:,} bytes."
            )
        received += len(chunk)
        yield chunk


def _read(stream: PacedStream, size: int) -> bytes:
    try:
        return stream.read(size)
    except OSError as error:
        raise UploadInterruptedError(f"The upload could not be read: {error}.") from error


def _events(stream: PacedStream, boundary: str) -> Iterator[MultipartSegment | bytes | None]:
    """The form as it arrives: a segment, its bytes, None at its end, and so on."""
    try:
        # The file's name, which is only shown, may be in any encoding. Latin-1 accepts any byte.
        with PushMultipartParser(boundary, header_charset="latin-1") as parser:
            while not parser.closed:
                chunk = _read(stream, CHUNK_BYTES)
                yield from parser.parse(chunk)
                if not chunk:
                    break
    except MultipartError as error:
        raise UploadInterruptedError(f"The form is not whole: {error}.") from error


def _leading_fields(
    events: Iterator[MultipartSegment | bytes | None],
) -> tuple[dict[str, str], str]:
    """
    The small fields before the file, and the file's name. The next event is then the file's first
    bytes.
    """
    fields: dict[str, str] = {}
    name, value, size = "", b"", 0
    for event in events:
        if isinstance(event, MultipartSegment):
            if event.name == FIELD:
                return fields, _shown(event.filename or "")
            name, value = event.name, b""
        elif event is None:
            fields[name] = value.decode("utf-8", "replace")
        else:
            size, value = size + len(event), value + event
            if size > FIELDS_BYTES:
                break
    raise UploadInterruptedError(f"The form has no file in a field called {FIELD!r}.")


def _shown(name: str) -> str:
    """A file's name on one line. Browsers send it in UTF-8 (RFC 7578, 4.2)."""
    text = name.encode("latin-1", "replace").decode("utf-8", "replace")
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line[:MOST_LETTERS]


def _file_chunks(events: Iterator[MultipartSegment | bytes | None]) -> Iterator[bytes]:
    """The file's bytes. No second file may follow."""
    for event in events:
        if not isinstance(event, bytes):
            break
        yield event
    for event in events:
        if isinstance(event, MultipartSegment) and event.name == FIELD:
            raise UploadInterruptedError(f"The form has more than one {FIELD!r}.")
