"""Where a request to a server goes, and what it carries: asked of a stand-in that notes it."""

import base64
from pathlib import Path

import pytest

from backups.client import BackupClient
from backups.exceptions import ClientError, ServerRefusedError
from backups.remote_server import remote_server
from tests.backups.wire import Request, standing_in


def answer(request: Request) -> None:
    body = b'{"status": "nothing"}'
    request.reply(200, {"Content-Length": str(len(body))}, body)


def asked(place: str = "", key: str = "secret", **options: str) -> tuple[str, dict[str, str]]:
    """The path and the headers that a server at this place is asked with."""
    with standing_in(answer) as server:
        url = f"http://{options.pop('before', '')}{server.url.removeprefix('http://')}{place}"
        with BackupClient(url, key, **options) as client:  # type: ignore[arg-type]
            client.get_restore_status()
    ((_, path, headers),) = server.asked
    return path, headers


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("", "/api/v1/restore"),
        ("/", "/api/v1/restore"),
        ("/api/v1", "/api/v1/restore"),
        ("/api/v1/", "/api/v1/restore"),
        ("/some/prefix", "/some/prefix/restore"),
        ("/some/prefix/", "/some/prefix/restore"),
        ("/shop/api/v1", "/shop/api/v1/restore"),
        ("/.", "/restore"),  # backups.urls at the very top of a site
    ],
)
def test_url_without_a_path_is_a_site_and_with_one_the_place_of_its_api(
    place: str, path: str
) -> None:
    assert asked(place)[0] == path


@pytest.mark.parametrize(
    ("header", "key", "name", "value"),
    [
        ("X-Api-Key", "secret", "X-Api-Key", "secret"),
        ("X-Backup-Key:", "secret", "X-Backup-Key", "secret"),
        ("Authorization: Token", "secret", "Authorization", "Token secret"),
        ("Authorization:Bearer", "secret", "Authorization", "Bearer secret"),
        ("authorization: Api-Key", "se.cret", "Authorization", "Api-Key se.cret"),
        ("Authorization: Basic", "ann:pä ss", "Authorization", basic("ann", "pä ss")),
    ],
)
def test_key_travels_in_the_header_that_the_server_reads(
    header: str, key: str, name: str, value: str
) -> None:
    _, headers = asked(key=key, header=header)
    assert headers[name] == value
    assert name == "X-Api-Key" or "X-Api-Key" not in headers


def test_password_of_netrc_is_never_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login proxy password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert asked(header="Authorization: Token")[1]["Authorization"] == "Token secret"
    _, headers = asked()
    assert "Authorization" not in headers
    assert headers["X-Api-Key"] == "secret"


def test_password_in_the_url_is_sent_beside_the_key_and_never_shown() -> None:
    _, headers = asked(before="ann:p%40ss@")
    assert headers["Authorization"] == basic("ann", "p@ss")
    assert headers["X-Api-Key"] == "secret"
    with (
        standing_in(lambda request: request.reply(403, {"Content-Length": "0"})) as server,
        BackupClient(server.url.replace("http://", "http://ann:hidden@"), "") as client,
        pytest.raises(ServerRefusedError) as refused,
    ):
        client.get_restore_status()
    assert "hidden" not in f"{refused.value}{refused.value.hint}{client.base_url}"


def test_password_in_the_url_does_without_a_key() -> None:
    _, headers = asked(key="", before="ann:pw@")
    assert headers["Authorization"] == basic("ann", "pw")
    assert "X-Api-Key" not in headers


def test_two_contents_of_one_header_are_refused() -> None:
    with pytest.raises(ClientError, match="can't be used together"):
        asked(before="ann:pw@", header="Authorization: Token")


@pytest.mark.parametrize("header", ["", ":", "X Key", "X-Key: a b", "Clé", "X-Key\r\nHost"])
def test_what_is_no_header_is_refused_before_anything_is_sent(header: str) -> None:
    with pytest.raises(ClientError, match="is not the name of one"):
        BackupClient("https://example.org", "secret", header=header)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org",
        "https://",
        "http://[::1",
        "https://a/?b",
        "https://a/#b",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="is not the URL of a server") as refused:
        remote_server(url)
    assert "backups.urls" in refused.value.hint


def test_password_in_a_url_that_is_refused_is_not_shown() -> None:
    with pytest.raises(ClientError, match=r"'https://example.org/\?x' is not the URL") as refused:
        remote_server("https://ann:hid@den@example.org/?x")
    assert "hid" not in str(refused.value)


@pytest.mark.parametrize("body", [b"<h1>Not Found</h1>", b'{"detail": "Not Found"}'])
def test_url_that_leads_nowhere_is_told_with_what_it_should_be(body: bytes) -> None:
    with (
        standing_in(
            lambda request: request.reply(404, {"Content-Length": str(len(body))}, body)
        ) as server,
        BackupClient(f"{server.url}/shop", "secret") as client,
        pytest.raises(ServerRefusedError, match=r"/shop/restore refused") as refused,
    ):
        client.get_restore_status()
    assert "includes backups.urls" in refused.value.hint


def test_404_of_the_app_itself_keeps_its_own_hint() -> None:
    body = b'{"detail": "Nothing is pending.", "code": "nothing_pending", "hint": "Stage first."}'
    with (
        standing_in(
            lambda request: request.reply(404, {"Content-Length": str(len(body))}, body)
        ) as server,
        BackupClient(server.url, "secret") as client,
        pytest.raises(ServerRefusedError) as refused,
    ):
        client.discard_pending_restore()
    assert refused.value.hint == "Stage first."


@pytest.mark.parametrize("location", ["/login?next=/restore", "{}/login"])
def test_site_that_sends_everybody_to_its_login_is_told_apart_from_another_server(
    location: str,
) -> None:
    with (
        standing_in(
            lambda request: request.reply(
                302, {"Location": location.format(request.server.url), "Content-Length": "0"}
            )
        ) as server,
        BackupClient(server.url, "secret") as client,
        pytest.raises(ServerRefusedError) as refused,
    ):
        client.get_restore_status()
    assert "exempt this URL from the login requirement" in refused.value.hint
