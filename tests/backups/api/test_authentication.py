"""Keys at the views of a project that has its own authentication and knows nothing of ours."""

import base64
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings
from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from backups.api.authentication import ApiClient, caller_name
from backups.api.views import RestoresView
from backups.keys.api_keys import create_key
from backups.site import local_store
from backups.site.local_store import key_file
from backups.sqlite.folder.paths import StorePaths

pytestmark = pytest.mark.django_db

OWN_KEY = "the project's own"


class OwnKeys(BaseAuthentication):
    """A project that takes keys of its own in the same header."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        if request.headers.get("X-Api-Key") != OWN_KEY:
            return None
        return User(username="robot", is_staff=True), None


class AtHome(RestoresView):
    """A view of ours as a request finds it, without the store behind it."""

    def get(self, request: Request) -> Response:
        return Response({"user": caller_name(request)})


def ask(*theirs: type[BaseAuthentication], **headers: str) -> Response:
    """Ask a view of a project with this authentication."""
    request = APIRequestFactory().get(
        "/", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    answer: Response = AtHome.as_view(authentication_classes=theirs)(request)
    return answer


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.fixture(autouse=True)
def key(settings: Settings, keys_file: Path) -> str:
    """A key for restores, in a project that has set nothing."""
    del settings.BACKUPS_RESTORE_PERMISSION
    del settings.REST_FRAMEWORK
    return create_key(keys_file, name="cron", scopes=["restore"])


@pytest.fixture
def ann() -> str:
    User.objects.create_user("ann", password="pw", is_staff=True)
    return basic("ann", "pw")


THEIRS = pytest.mark.parametrize(
    "theirs",
    [(), (BasicAuthentication,), (SessionAuthentication,), (OwnKeys,)],
    ids=["none", "basic", "session", "own keys"],
)


@THEIRS
def test_key_opens_the_views_beside_the_project_s_own_authentication(
    theirs: tuple[type[BaseAuthentication], ...], key: str
) -> None:
    answer = ask(*theirs, X_Api_Key=key)
    assert (answer.status_code, answer.data) == (200, {"user": "cron"})


@THEIRS
def test_wrong_key_is_401_and_is_said_to_be_wrong(
    theirs: tuple[type[BaseAuthentication], ...],
) -> None:
    answer = ask(*theirs, X_Api_Key="wrong")
    assert (answer.status_code, answer.data["detail"]) == (401, "Invalid API key")


def test_project_s_own_authentication_goes_on_to_work(ann: str) -> None:
    assert ask(BasicAuthentication, Authorization=ann).data == {"user": "ann"}
    assert ask(OwnKeys, X_Api_Key=OWN_KEY).data == {"user": "robot"}


def test_key_counts_where_a_proxy_asks_for_a_password_of_its_own(key: str) -> None:
    """It passes the header on, and the project can't know that name."""
    answer = ask(BasicAuthentication, X_Api_Key=key, Authorization=basic("proxy", "secret"))
    assert answer.data == {"user": "cron"}


def test_nobody_is_asked_for_what_the_project_asks_for() -> None:
    """A client that waits for it sends its password then; a browser shows a login."""
    answer = ask(BasicAuthentication, SessionAuthentication)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Basic realm="api"')


def test_nobody_is_asked_for_a_key_where_the_project_asks_for_nothing() -> None:
    answer = ask(SessionAuthentication, BasicAuthentication)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'ApiKey header="X-Api-Key"')


def test_removed_key_opens_nothing_any_more(key: str, keys_file: Path) -> None:
    keys_file.unlink()
    assert ask(BasicAuthentication, X_Api_Key=key).status_code == 401


def test_keys_are_beside_the_database_unless_the_settings_say_where(
    settings: Settings, keys_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert key_file() == keys_file
    del settings.BACKUPS_KEY_FILE
    database = StorePaths.of(keys_file.parent / "shop.sqlite3")
    monkeypatch.setattr(local_store, "paths", lambda: database)
    assert key_file() == keys_file.parent / "shop.sqlite3.api-keys.json"


def test_database_without_a_file_has_no_keys(settings: Settings, key: str) -> None:
    del settings.BACKUPS_KEY_FILE  # the tests' own database is in memory
    settings.BACKUPS_FOLDER = None
    assert key_file() is None
    assert ask(BasicAuthentication, X_Api_Key=key).status_code == 401


def test_holder_of_a_key_stands_for_no_user() -> None:
    client = ApiClient("laptop")
    assert (client.get_username(), str(client), client.pk) == ("laptop", "laptop", None)
    assert (client.is_authenticated, client.is_staff) == (True, False)


@pytest.mark.parametrize(
    ("user", "name"), [(None, ""), ("robot", "robot"), (User(username="ann"), "ann")]
)
def test_caller_has_a_name_whatever_kind_of_user_the_project_has(user: Any, name: str) -> None:
    request = Request(APIRequestFactory().get("/"))
    request.user = user
    assert caller_name(request) == name
