"""Every path of the site, with a body that is too long: nothing of it is read or written."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from tests.backups.wire import answer_to_head
from tests.site import Server, Site, copy_site

FORM = "multipart/form-data; boundary=b"
LONG = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n'.ljust(2_000_000)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/nowhere",
        "/api-auth/login/",
        "/api-auth/logout/",
        "/api/v1/tasks",
        "/api/v1/docs",
        "/api/v1/restore/undo",
        "/api/v1/restores",
        "/static/rest_framework/css/bootstrap.min.css",
    ],
)
def test_long_body_is_a_413_on_every_path(
    method: str, path: str, client: Client, settings: Settings
) -> None:
    settings.BACKUPS_MAX_BODY_BYTES = 100
    answer = client.generic(method, path, bytes(101), FORM)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer.json()["detail"] == "The body has 101 bytes; at most 100 are read here."


def test_only_the_post_of_a_restore_is_let_through(client: Client, settings: Settings) -> None:
    settings.BACKUPS_MAX_BODY_BYTES = 100
    url = reverse("backups:restore")
    assert client.post(url, bytes(101), FORM).status_code == 401
    assert client.delete(url, bytes(101), FORM).status_code == 413
    assert client.post(f"{url}/", bytes(101), FORM).status_code == 413


def test_upload_of_the_page_is_let_through_too(client: Client, settings: Settings) -> None:
    settings.BACKUPS_MAX_BODY_BYTES = 100
    url = reverse("backups_page:upload", args=[uuid4()])
    restore = reverse("backups_page:restore")
    answer = client.post(url, bytes(101), FORM)
    assert answer.status_code == 303  # to the login
    for method, path in (
        ("PUT", url),
        ("GET", url),
        ("POST", restore),
        ("POST", reverse("backups_page:undo")),
        ("POST", reverse("backups_page:store")),
        ("POST", "/backups"),
    ):
        assert client.generic(method, path, bytes(101), FORM).status_code == 413, path


def test_body_in_chunks_is_a_411(client: Client) -> None:
    answer = client.post("/api-auth/login/", headers={"Transfer-Encoding": "chunked"})
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture(scope="module")
def server(
    template_site: Site, spool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    site = copy_site(template_site, tmp_path_factory.mktemp("limited") / "data")
    with site.serving(TMPDIR=str(spool)) as running:
        yield running


@pytest.mark.proof
@pytest.mark.parametrize("path", ["/api-auth/login/", "/api/v1/restore/undo"])
def test_client_sees_the_413_while_it_sends_and_when_it_has_sent(
    server: Server, spool: Path, path: str
) -> None:
    """With the token's cookie, without which Django reads no form."""
    headers = {"Content-Type": FORM, "Cookie": "csrftoken=" + "x" * 32}
    before = set(os.listdir(spool))
    sent = requests.post(server.url + path, LONG, headers=headers, timeout=60)
    assert sent.status_code == 413
    head: dict[str, str | bytes] = {**headers, "Content-Length": "5000000000"}
    status, answer = answer_to_head(server.url, "POST", path, head, LONG)
    assert (status, b"5000000000 bytes" in answer) == (413, True)
    assert set(os.listdir(spool)) == before
