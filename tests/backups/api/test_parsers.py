import io
from typing import Any

import pytest
import requests
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from backups.api.parsers import (
    CHUNK_BYTES,
    FIELDS_BYTES,
    UPLOAD_PARSERS,
)
from backups.api.upload import Upload
from backups.exceptions import UploadInterruptedError

BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


class Wire(io.BytesIO):
    """A body that breaks off with an error, as a socket does when the client is gone."""

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        if not chunk:
            raise OSError("connection reset")
        return chunk


def request_with(body: bytes, content_type: str, *, stream: io.BytesIO | None = None) -> Request:
    """What the view gets; its body is read from ``stream``, if given, and as far as it goes."""
    http = APIRequestFactory().generic("POST", "/", content_type=content_type)
    http.META["CONTENT_LENGTH"] = str(len(body))
    http._stream = stream or io.BytesIO(body)
    return Request(http, parsers=[parser() for parser in UPLOAD_PARSERS])


def upload_in(request: Request) -> Upload:
    upload = request.FILES["file"]
    assert isinstance(upload, Upload)
    return upload


def part(name: str, content: bytes, filename: str = "") -> bytes:
    """One part of a form, without the boundary after it."""
    named = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def received(body: bytes, content_type: str = FORM, **arguments: Any) -> bytes:
    return b"".join(upload_in(request_with(body, content_type, **arguments)))


# The body is the file

RAW = [
    "application/octet-stream",
    "application/vnd.sqlite3",
    "application/gzip",
    "application/zstd",
]


@pytest.mark.parametrize("content_type", RAW)
@pytest.mark.parametrize(
    "size", [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]
)
def test_raw_body_arrives_as_it_was_sent(content_type: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    assert received(body[:size], content_type) == body[:size]


def test_raw_body_is_read_when_it_is_iterated_and_not_before() -> None:
    stream = io.BytesIO(b"x" * 1000)
    upload = upload_in(request_with(b"x" * 1000, "application/octet-stream", stream=stream))
    assert (stream.tell(), upload.at_least) == (0, 1000)
    assert b"".join(upload) == b"x" * 1000


def test_raw_body_is_read_no_further_than_its_length() -> None:
    stream = io.BytesIO(b"x" * 1000 + b"the next request")
    assert received(b"x" * 1000, "application/octet-stream", stream=stream) == b"x" * 1000
    assert stream.read() == b"the next request"


@pytest.mark.parametrize("wire", [io.BytesIO, Wire])
def test_raw_body_that_ends_early_is_an_error(wire: type[io.BytesIO]) -> None:
    upload = upload_in(
        request_with(b"x" * 1000, "application/octet-stream", stream=wire(b"x" * 600))
    )
    chunks = iter(upload)
    assert next(chunks) == b"x" * 600
    with pytest.raises(UploadInterruptedError, match=r"ended after 600 of 1,000|could not be read"):
        next(chunks)


# A form


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 200, CHUNK_BYTES - 50, CHUNK_BYTES, 700_000])
def test_file_in_a_form_arrives_as_it_was_sent(size: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert received(part("file", content, "x.db") + END) == content


@pytest.mark.parametrize(
    "end", [b"", b"\r\n", b"\r", b"\r\n--", b"\r\n--frontie", b"--frontier\r\n"]
)
@pytest.mark.parametrize("shift", range(-14, 3))
def test_file_with_half_a_boundary_at_the_edge_of_a_read_arrives_whole(
    end: bytes, shift: int
) -> None:
    head = len(part("file", b"", "x.db")) - 2
    content = b"x" * (CHUNK_BYTES - head + shift) + end + b"y" * 10
    assert received(part("file", content, "x.db") + END) == content


def test_chunks_are_no_larger_than_a_read() -> None:
    form = part("file", b"x" * 1_000_000, "x.db") + END
    sizes = [len(chunk) for chunk in upload_in(request_with(form, FORM))]
    assert max(sizes) <= CHUNK_BYTES + len(BOUNDARY) + 4


def test_form_as_requests_sends_it_is_read() -> None:
    sent = requests.Request("POST", "http://x", data={"a": "1"}, files={"file": b"content"})
    form = sent.prepare()
    assert isinstance(form.body, bytes)
    assert received(form.body, form.headers["Content-Type"]) == b"content"


def test_name_of_the_file_may_be_in_any_encoding() -> None:
    form = part("file", b"content", "x.db").replace(b"x.db", b"M\xe4rz.db") + END
    assert received(form) == b"content"


def test_fields_in_front_of_the_file_are_read_at_once_and_the_file_is_not() -> None:
    form = part("token", "schlüssel".encode()) + part("file", b"x" * 1_000_000, "x.db") + END
    stream = io.BytesIO(form)
    request = request_with(form, FORM, stream=stream)
    assert request.POST["token"] == "schlüssel"
    assert stream.tell() <= CHUNK_BYTES
    assert b"".join(upload_in(request)) == b"x" * 1_000_000


def test_fields_after_the_file_are_not_the_files() -> None:
    assert received(part("file", b"content", "x.db") + part("b", b"2") + END) == b"content"


def test_form_promises_its_length_but_for_what_the_form_itself_takes() -> None:
    form = part("file", b"x" * 1_000_000, "x.db") + END
    assert upload_in(request_with(form, FORM)).at_least == len(form) - FIELDS_BYTES
    small = part("file", b"x", "x.db") + END
    assert upload_in(request_with(small, FORM)).at_least == 0


def test_field_without_a_file_name_is_taken_for_the_file() -> None:
    assert received(part("file", b"content") + END) == b"content"


@pytest.mark.parametrize("form", [END, part("upload", b"content", "x.db") + END])
def test_form_without_the_field_is_an_error(form: bytes) -> None:
    with pytest.raises(UploadInterruptedError, match="no file in a field called 'file'"):
        upload_in(request_with(form, FORM))


def test_field_that_is_too_large_in_front_of_the_file_is_an_error_at_once() -> None:
    form = part("upload", b"x" * 5_000_000, "x.db") + END
    stream = io.BytesIO(form)
    with pytest.raises(UploadInterruptedError, match="no file in a field called 'file'"):
        upload_in(request_with(form, FORM, stream=stream))
    assert stream.tell() <= CHUNK_BYTES


def test_second_file_is_an_error() -> None:
    form = part("file", b"one", "1.db") + part("file", b"two", "2.db") + END
    with pytest.raises(UploadInterruptedError, match="more than one 'file'"):
        received(form)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", 'multipart/form-data; boundary=""']
)
def test_form_without_a_boundary_is_an_error(content_type: str) -> None:
    with pytest.raises(UploadInterruptedError, match="no boundary"):
        upload_in(request_with(part("file", b"x") + END, content_type))


def test_form_with_another_boundary_than_it_says_is_an_error() -> None:
    with pytest.raises(UploadInterruptedError, match="The form is not whole"):
        upload_in(request_with(part("file", b"x") + END, f"{FORM}y"))


@pytest.mark.parametrize("cut", [1, 5, len(END), len(END) + 2, len(END) + 500])
def test_form_that_is_cut_off_is_an_error(cut: int) -> None:
    form = part("file", b"x" * 1000, "x.db") + END
    with pytest.raises(UploadInterruptedError, match="The form is not whole"):
        received(form[: -2 - cut])


def test_form_whose_client_goes_away_is_an_error() -> None:
    form = part("file", b"x" * 1000, "x.db") + END
    with pytest.raises(UploadInterruptedError, match="could not be read: connection reset"):
        received(form, stream=Wire(form[:-100]))


def test_upload_that_is_given_up_raises_nothing_of_its_own() -> None:
    form = part("file", b"x" * 1_000_000, "x.db") + END
    chunks = iter(upload_in(request_with(form, FORM)))
    next(chunks)
    del chunks  # pytest fails on what a generator raises while it is closed
