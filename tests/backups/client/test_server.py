"""Where a request to a server goes, and what it carries: asked of a stand-in that notes it."""

import base64
import ssl
from pathlib import Path

import pytest

from backups.client import BackupClient
from backups.client.loopback import is_this_machine
from backups.client.server import remote_server
from backups.exceptions import (
    ClientError,
    InsecureServerError,
    ServerRefusedError,
    ServerUnreachableError,
)
from tests.backups.wire import Request, standing_in

# Of 127.0.0.1, self-signed, for a hundred years; the key in it opens nothing.
CERTIFICATE = Path(__file__).with_name("loopback.pem")


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
    with pytest.raises(ClientError, match="is not a header name"):
        BackupClient("https://example.org", "secret", header=header)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org",
        "https://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "https://example.org:port",
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


# In plain http


HERE = ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]"]
ELSEWHERE = [
    "example.org",
    "192.168.1.2",
    "10.0.0.1",
    "[fe80::1]",
    "[::ffff:10.0.0.1]",
    "0.0.0.0",
    "127.1",
    "2130706433",
    "localhost.example.org",
    "127.0.0.1.example.org",
    "my.localhost",
    "localhost@example.org",
    "127.0.0.1:80@example.org",
    "xn--localhost",
    "ｌｏｃａｌｈｏｓｔ",
]


@pytest.mark.parametrize("host", HERE)
def test_key_may_travel_in_plain_http_within_this_machine(host: str) -> None:
    assert is_this_machine(host.strip("[]").lower())
    BackupClient(f"http://{host}:8000", "secret").close()


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize(
    ("before", "key"), [("", "secret"), ("ann:pw@", ""), ("ann:pw@", "secret")]
)
def test_key_does_not_travel_in_plain_http_to_another_machine(
    host: str, before: str, key: str
) -> None:
    with pytest.raises(InsecureServerError, match="is plain http: anybody on the way") as error:
        BackupClient(f"http://{before}{host}", key)
    assert "https" in error.value.hint
    assert "--insecure" in error.value.hint
    assert "secret" not in str(error.value)
    assert "pw" not in str(error.value)
    BackupClient(f"http://{before}{host}", key, insecure=True).close()
    BackupClient(f"https://{before}{host}", key).close()


def test_hint_to_ask_first_names_the_option_that_is_needed() -> None:
    for url, end in (
        ("http://tasks.lan", "--url http://tasks.lan --insecure"),
        ("https://tasks.lan", "--url https://tasks.lan"),
        ("http://127.0.0.1", "--url http://127.0.0.1"),
    ):
        with BackupClient(url, "secret", insecure=True) as client:
            assert client._exchange.ask_first("restore").endswith(end)


# What the environment says


@pytest.fixture
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("without_proxies")
def test_proxy_of_the_environment_is_used_but_where_no_proxy_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with standing_in(answer) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with BackupClient("http://backups.invalid", "secret", insecure=True) as client:
            assert client.get_restore_status() == {"status": "nothing"}
        monkeypatch.setenv("NO_PROXY", "other.invalid,backups.invalid")
        with (
            BackupClient("http://backups.invalid", "secret", insecure=True) as client,
            pytest.raises(ServerUnreachableError),
        ):
            client.get_restore_status()
    assert [path for _, path, _ in proxy.asked] == ["http://backups.invalid/api/v1/restore"]


@pytest.mark.usefixtures("without_proxies")
def test_proxy_for_https_is_asked_for_a_tunnel_and_sees_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with standing_in(lambda request: request.reply(403, {"Content-Length": "0"})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with (
            BackupClient("https://backups.invalid", "secret") as client,
            pytest.raises(ServerUnreachableError),
        ):
            client.get_restore_status()
    ((method, path, headers),) = proxy.asked
    assert (method, path) == ("CONNECT", "backups.invalid:443")
    assert "secret" not in str(headers)


@pytest.mark.usefixtures("without_proxies")
@pytest.mark.parametrize("proxy", ["http://192.0.2.1:3128", "192.0.2.1:3128", "http://["])
def test_key_for_this_machine_does_not_go_round_by_a_proxy_on_another(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert asked()[1]["X-Api-Key"] == "secret"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_of_the_environment_are_trusted_and_no_others(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with standing_in(answer, context) as server:
        with (
            BackupClient(server.url, "secret") as client,
            pytest.raises(ServerUnreachableError, match="certificate verify failed"),
        ):
            client.get_restore_status()
        monkeypatch.setenv(variable, str(CERTIFICATE))
        with BackupClient(server.url, "secret") as client:
            assert client.get_restore_status() == {"status": "nothing"}
    assert len(server.asked) == 1


# Where nothing of ours is


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


def test_no_request_goes_on_a_connection_that_the_server_may_be_about_to_close() -> None:
    """As uWSGI is, after each answer, without a word of it in the answer."""
    ports = []

    def keep_open(request: Request) -> None:
        request.close_connection = False
        ports.append(request.client_address[1])
        body = b'{"status": "nothing"}'
        request.send_response_only(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with standing_in(keep_open) as server, BackupClient(server.url, "secret") as client:
        client.get_restore_status()
        client.get_restore_status()
    assert len(set(ports)) == 2
