"""The endpoints of this app in any project: none of its middleware runs here."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings
from rest_framework.authentication import SessionAuthentication

from backups.api.views import BackupView, RestoresView, RestoreView, UndoView

LIMIT = 1000
FORM = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n%s\r\n--b--\r\n'
OTHERS = [
    (UndoView, "POST"),
    (RestoreView, "DELETE"),
    (RestoreView, "GET"),
    (RestoreView, "PUT"),
    (RestoresView, "GET"),
    (BackupView, "GET"),
]


class Unread(io.BytesIO):
    """A body that must not be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the body was read")


@pytest.fixture(autouse=True)
def _limit(settings: Settings) -> None:
    settings.BACKUPS_MAX_BODY_BYTES = LIMIT


def asked(method: str, body: bytes = b"", **headers: str) -> HttpRequest:
    """What a user who is logged in and no staff sends."""
    request = RequestFactory().generic(method, "/", body, FORM, **headers)  # type: ignore[arg-type]
    request.user = User(username="bob")
    return request


def answered(view: type[Any], request: HttpRequest) -> Any:
    response = view.as_view(authentication_classes=[SessionAuthentication])(request)
    return response.render()


@pytest.mark.parametrize(("view", "method"), OTHERS)
@pytest.mark.parametrize("accepted", ["application/json", "text/html"])
def test_long_body_is_refused_before_it_is_read(
    view: type[Any], method: str, accepted: str
) -> None:
    request = asked(method, HTTP_ACCEPT=accepted)
    request.META["CONTENT_LENGTH"] = str(LIMIT + 1)
    request._stream = Unread()
    answer = answered(view, request)
    assert (answer.status_code, answer.data["code"]) == (413, "body_too_large")
    assert b"The body has 1001 bytes; at most 1,000 are read here." in answer.content
    assert "BACKUPS_MAX_BODY_BYTES" in answer.data["hint"]


@pytest.mark.parametrize("length", ["-1", "1e9", "\u0663", "9" * 30])
def test_length_that_is_no_number_is_refused(length: str) -> None:
    request = asked("POST")
    request.META["CONTENT_LENGTH"] = length
    request._stream = Unread()
    assert answered(UndoView, request).status_code == 413


def test_body_in_chunks_is_refused() -> None:
    request = asked("POST", HTTP_TRANSFER_ENCODING="chunked")
    assert (answer := answered(UndoView, request)).status_code == 411
    assert answer.data["hint"] == "Send it with its length."


def test_file_in_a_short_form_stays_in_memory(settings: Settings) -> None:
    settings.FILE_UPLOAD_HANDLERS = ["no.such.Handler"]
    request = asked("POST", FILE % b"small")
    assert answered(UndoView, request).status_code == 403
    (handler,) = request.upload_handlers
    assert isinstance(handler, MemoryFileUploadHandler)


def test_upload_of_a_restore_has_its_own_limit() -> None:
    request = asked("POST", FILE % bytes(2 * LIMIT))
    assert answered(RestoreView, request).status_code == 403
