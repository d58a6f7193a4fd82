"""
Parsers that hand an upload on while it arrives: no temporary file, nothing kept in memory.

Each gives ``request.data["file"]``, an ``Upload``, whose bytes are still in the socket. They are
read when the view iterates over it, after authentication and permissions. A form's leading
fields are read at once: the browser sends its CSRF token in front of the file.

Source: https://www.rfc-editor.org/rfc/rfc7578 (multipart/form-data)
"""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from multipart import MultipartError, MultipartSegment, PushMultipartParser
from rest_framework.parsers import BaseParser, DataAndFiles

from backups.api.socket_timeout import PacedStream
from backups.api.upload import Upload
from backups.exceptions import UploadInterruptedError

CHUNK_BYTES = 1024 * 1024  # 1 MiB a read, as gunicorn reads: less, and it copies each byte twice
FIELDS_BYTES = 64 * 1024  # room for a form's boundaries, headers and small fields
FIELD = "file"


class RawUploadParser(BaseParser):
    """The body is the file."""

    media_type = "application/octet-stream"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> "DataAndFiles[Any, Any]":
        """Reads nothing yet."""
        length = _content_length(parser_context)
        return _parsed(
            {}, Upload(_exactly(length, _paced(stream, parser_context)), at_least=length)
        )


class SqliteUploadParser(RawUploadParser):
    """The body is the file, called by SQLite's own media type (registered with IANA)."""

    media_type = "application/vnd.sqlite3"


class GzipUploadParser(RawUploadParser):
    """The body is the file, packed by gzip (RFC 6713); its bytes say so too, and those count."""

    media_type = "application/gzip"


class ZstdUploadParser(RawUploadParser):
    """The body is the file, packed by zstd (RFC 8878)."""

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
        at_least = max(0, _content_length(parser_context) - FIELDS_BYTES)
        events = _events(_paced(stream, parser_context), _boundary(parser_context))
        fields = _leading_fields(events)
        return _parsed(fields, Upload(_file_chunks(events), at_least=at_least))


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


def _content_length(parser_context: Mapping[str, Any] | None) -> int:
    assert parser_context is not None
    return int(parser_context["request"].META.get("CONTENT_LENGTH") or 0)


def _boundary(parser_context: Mapping[str, Any] | None) -> str:
    assert parser_context is not None
    boundary: str | None = parser_context["request"]._request.content_params.get("boundary")
    if not boundary:
        raise UploadInterruptedError("The form has no boundary in its Content-Type header.")
    return boundary


def _paced(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> PacedStream:
    assert parser_context is not None
    return PacedStream(stream, parser_context["request"].META)


def _exactly(length: int, stream: PacedStream) -> Iterator[bytes]:
    """The body's bytes; an error if the client goes away before it is whole."""
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
        # Latin-1 takes any byte: a file's name, which is not used, may be in any encoding.
        with PushMultipartParser(boundary, header_charset="latin-1") as parser:
            while not parser.closed:
                chunk = _read(stream, CHUNK_BYTES)
                yield from parser.parse(chunk)
                if not chunk:
                    break
    except MultipartError as error:
        raise UploadInterruptedError(f"The form is not whole: {error}.") from error


def _leading_fields(events: Iterator[MultipartSegment | bytes | None]) -> dict[str, str]:
    """The small fields in front of the file; the next event is then the file's first bytes."""
    fields: dict[str, str] = {}
    name, value, size = "", b"", 0
    for event in events:
        if isinstance(event, MultipartSegment):
            if event.name == FIELD:
                return fields
            name, value = event.name, b""
        elif event is None:
            fields[name] = value.decode("utf-8", "replace")
        else:
            size, value = size + len(event), value + event
            if size > FIELDS_BYTES:
                break
    raise UploadInterruptedError(f"The form has no file in a field called {FIELD!r}.")


def _file_chunks(events: Iterator[MultipartSegment | bytes | None]) -> Iterator[bytes]:
    """The file's bytes; then the form must end."""
    for event in events:
        if not isinstance(event, bytes):
            break
        yield event
    for event in events:
        if isinstance(event, MultipartSegment) and event.name == FIELD:
            raise UploadInterruptedError(f"The form has more than one {FIELD!r}.")
