"""Wrong keys at the views of a project that takes them as its own authentication, or beside it."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from backups.api.authentication import ApiKeyAuthentication, caller_name
from backups.api.views import RestoresView
from backups.disk import private_files
from backups.keys import api_keys, key_format, wrong_keys
from backups.keys.api_keys import create_key
from backups.keys.entries import end_of_day
from backups.keys.key_usage import last_used

pytestmark = pytest.mark.django_db


class Mine(APIView):
    """A view of the project's own."""

    authentication_classes = (ApiKeyAuthentication,)
    permission_classes = ()

    def get(self, request: Request) -> Response:
        return Response({"user": caller_name(request)})


class Ours(RestoresView):
    """A view of this app in a project that knows nothing of keys, without the store."""

    authentication_classes = (SessionAuthentication,)

    def get(self, request: Request) -> Response:
        return Response({"user": caller_name(request)})


class Everybody(Ours):
    """The same, where the project lets everybody in."""

    def get_permissions(self) -> list[Any]:
        return []


VIEWS = pytest.mark.parametrize("view", [Mine, Ours, Everybody])


@pytest.fixture(autouse=True)
def key(settings: Settings, keys_file: Path) -> str:
    del settings.BACKUPS_RESTORE_PERMISSION
    del settings.REST_FRAMEWORK
    return create_key(keys_file, name="cron", scopes=["restore"])


def ask(view: type[APIView], key: str, address: str = "192.0.2.1", path: str = "/") -> Response:
    request = APIRequestFactory().get(path, headers={"X-Api-Key": key}, REMOTE_ADDR=address)
    answer: Response = view.as_view()(request)
    return answer


@VIEWS
def test_many_wrong_keys_from_one_address_have_to_wait_and_are_told_how_long(
    view: type[APIView],
) -> None:
    for _ in range(wrong_keys.MOST):
        ask(view, "wrong")
    refused = ask(view, "wrong")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= wrong_keys.SECONDS
    assert "Too many wrong API keys" in refused.data["detail"]
    assert ask(view, "wrong", address="192.0.2.2").status_code != 429


@VIEWS
def test_right_key_never_waits_for_those_who_guess_from_its_address(
    view: type[APIView], key: str
) -> None:
    for _ in range(wrong_keys.MOST + 5):
        ask(view, "wrong")
    answer = ask(view, key)
    assert (answer.status_code, answer.data) == (200, {"user": "cron"})


@VIEWS
def test_each_wrong_key_is_a_line_with_its_address_and_not_the_key(
    view: type[APIView], caplog: pytest.LogCaptureFixture
) -> None:
    ask(view, "secret\nline", path="/api/%0A%1b[31m/backup?key=secret")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("A wrong API key came from 192.0.2.1, for GET /api/%0A%1B")
    assert line.isprintable()
    assert "secret" not in line


def test_page_for_a_browser_counts_a_key_once(caplog: pytest.LogCaptureFixture) -> None:
    """It asks for the permission of every method that it could show a form for."""
    request = APIRequestFactory().get("/", headers={"X-Api-Key": "wrong", "Accept": "text/html"})
    answer = Mine.as_view()(request).render()
    assert (answer.status_code, b"<html" in answer.content) == (401, True)
    assert len(caplog.records) == 1


def test_log_says_nothing_more_of_those_who_wait(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(wrong_keys.MOST + 30):
        ask(Mine, "wrong")
    assert len(caplog.records) == wrong_keys.MOST


def test_log_tells_a_revoked_key_from_a_mistyped_one(
    key: str, keys_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api_keys.revoke_key(keys_file, name="cron")
    create_key(keys_file, name="other")
    for presented in (key, key[:-1] + "é", key[:-9]):
        ask(Mine, presented)
    mistyped = key[:-1] + ("x" if key[-1] != "x" else "y")
    ask(Mine, mistyped)
    said = [record.getMessage() for record in caplog.records]
    assert "was revoked, or that belongs to another site" in said[0]
    assert "cut off" in said[1]
    assert "cut off" in said[2]
    assert "wrong checksum" in said[3]


@pytest.mark.parametrize("view", [Mine, Ours])
def test_expired_key_is_401_with_its_own_sentence_and_one_line(
    view: type[APIView], keys_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = datetime(2026, 2, 1, tzinfo=UTC)
    old = create_key(keys_file, name="old", scopes=["restore"], expires_at=ended)
    answer = ask(view, old)
    assert answer.status_code == 401
    assert answer.data["detail"] == "This API key expired at 2026-02-01 00:00 UTC"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "'old'" in line
    assert "192.0.2.1" in line
    assert old not in line


def test_expired_key_is_never_told_to_wait_and_does_not_fill_the_log(
    keys_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = create_key(keys_file, name="old", expires_at=datetime(2026, 2, 1, tzinfo=UTC))
    answers = {ask(Mine, old).status_code for _ in range(wrong_keys.MOST + 30)}
    assert answers == {401}
    assert len(caplog.records) == wrong_keys.MOST


def test_key_works_through_its_last_day(keys_file: Path) -> None:
    today = datetime.now(UTC).date()
    key = create_key(keys_file, name="today", expires_at=end_of_day(today))
    assert ask(Mine, key).status_code == 200
    key = create_key(keys_file, name="past", expires_at=end_of_day(today - timedelta(days=1)))
    assert ask(Mine, key).status_code == 401


def test_key_of_a_file_that_is_not_usable_is_refused_and_not_counted(
    key: str, keys_file: Path
) -> None:
    """It may be a right one; when the file is mended it works at once."""
    good = keys_file.read_bytes()
    private_files.replace(keys_file, b"{")
    assert {ask(Mine, key).status_code for _ in range(wrong_keys.MOST + 5)} == {401}
    private_files.replace(keys_file, good)
    assert ask(Mine, key).status_code == 200


def test_key_that_the_project_knows_is_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    class OwnKeys(BaseAuthentication):
        def authenticate(self, request: Request) -> tuple[Any, None]:
            return User(username="robot", is_staff=True), None

    class Theirs(Ours):
        authentication_classes = (OwnKeys,)  # type: ignore[assignment]

    answers = {ask(Theirs, "theirs").status_code for _ in range(wrong_keys.MOST + 5)}
    assert answers == {200}
    assert caplog.records == []


def test_key_of_before_goes_on_working(keys_file: Path) -> None:
    """Such keys have no prefix."""
    old = "hXh8p8m1Zk-xq3m1OQz0V7S0yq9q2q0sTn5o_7gM1aA"
    assert not key_format.is_whole(old)
    content = keys_file.read_text().replace(
        api_keys.read_keys(keys_file)[0].sha256, api_keys.digest(old)
    )
    private_files.replace(keys_file, content.encode())
    assert ask(Mine, old).status_code == 200


def test_caches_of_the_project_are_left_alone(settings: Settings) -> None:
    """One may be the database, which each guess would write to, or none at all."""
    settings.CACHES = {"default": {"BACKEND": "no.such.backend"}}
    for _ in range(wrong_keys.MOST):
        ask(Mine, "wrong")
    assert ask(Mine, "wrong").status_code == 429


def test_use_of_a_key_is_noted(key: str, keys_file: Path) -> None:
    sha256 = api_keys.read_keys(keys_file)[0].sha256
    assert last_used(keys_file, sha256) is None
    ask(Mine, "wrong")
    assert last_used(keys_file, sha256) is None
    ask(Mine, key)
    assert last_used(keys_file, sha256) is not None


def test_log_line_is_a_warning_of_this_app(caplog: pytest.LogCaptureFixture) -> None:
    ask(Mine, "wrong")
    assert [(each.name, each.levelno) for each in caplog.records] == [
        ("backups.keys.wrong_keys", logging.WARNING)
    ]
