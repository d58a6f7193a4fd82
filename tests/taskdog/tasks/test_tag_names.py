"""Tags of any name are deleted over real HTTP, where the path is what the wire says."""

from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import pytest

from tests.site import Server, Site, copy_site

NAMES = [
    "a/b",
    "a?b",
    "a#b",
    "/",
    "//x",
    "a b",
    " work ",
    "50%",
    "%2F",
    "ü",
    "💥",
    "a\nb",
    "..",
    ".",
    "statistics",
    "a;b",
    "a+b",
    "a&b=c",
    "\\",
    '"',
]


@pytest.fixture(scope="module")
def shared(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    site = copy_site(template_site, tmp_path_factory.mktemp("tags") / "data")
    with site.serving() as running:
        yield running


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """A server without a tag."""
    yield shared
    for name in names(shared):
        delete(shared, quote(name, safe=""))


def delete(server: Server, encoded: str) -> int:
    """Ask with the path as it is: other clients would tidy it up."""
    address = urlsplit(server.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=60)
    try:
        headers = {"X-Api-Key": str(server.http.headers["X-Api-Key"])}
        connection.request("DELETE", f"/api/v1/tags/{encoded}", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def names(server: Server) -> list[str]:
    return [tag["tag"] for tag in server.api("GET", "tags/statistics").json()["tags"]]


def test_a_tag_of_any_name_is_deleted_and_no_other(server: Server) -> None:
    server.api("POST", "tasks", json={"name": "1", "tags": NAMES})
    left = sorted(NAMES)
    assert names(server) == left
    for name in NAMES:
        assert delete(server, quote(name, safe="")) == 200, name
        left.remove(name)
        assert names(server) == left
        assert delete(server, quote(name, safe="")) == 404, name


def test_a_slash_need_not_be_encoded(server: Server) -> None:
    server.api("POST", "tasks", json={"name": "1", "tags": ["a", "a/b", "a/b/c"]})
    assert delete(server, "a/b") == 200
    assert names(server) == ["a", "a/b/c"]


def test_a_bare_question_mark_does_not_delete_another_tag(server: Server) -> None:
    server.api("POST", "tasks", json={"name": "1", "tags": ["a", "a?b"]})
    assert delete(server, "a?b") == 422
    assert names(server) == ["a", "a?b"]


def test_bytes_that_are_no_text_are_no_tag(server: Server) -> None:
    assert delete(server, "%ff%fe") == 404
