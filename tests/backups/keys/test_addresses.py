import pytest
from django.test import RequestFactory
from pytest_django import Settings

from backups.keys.addresses import UNKNOWN, client_address, network


def address(settings: Settings, proxies: int | None, remote: str, forwarded: str = "") -> str:
    settings.REST_FRAMEWORK = {} if proxies is None else {"NUM_PROXIES": proxies}
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return client_address(RequestFactory().get("/", headers=headers, REMOTE_ADDR=remote))


@pytest.mark.parametrize("proxies", [None, 0])
def test_header_that_anybody_can_send_is_not_believed(
    proxies: int | None, settings: Settings
) -> None:
    assert address(settings, proxies, "192.0.2.1", "198.51.100.7") == "192.0.2.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "made up, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, "", "192.0.2.1"),
        (1, "evil\r\nline", "192.0.2.1"),
        (1, "198.51.100.7,", "192.0.2.1"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "2001:DB8::0:1", "2001:db8::1"),
    ],
)
def test_header_is_believed_as_far_as_there_are_proxies(
    proxies: int, forwarded: str, found: str, settings: Settings
) -> None:
    assert address(settings, proxies, "192.0.2.1", forwarded) == found


def test_unix_socket_has_no_address(settings: Settings) -> None:
    assert address(settings, None, "") == UNKNOWN


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_all_addresses_that_one_client_can_have_are_counted_together(
    given: str, whole: str
) -> None:
    assert network(given) == whole
