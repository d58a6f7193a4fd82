"""
Where a request comes from: for logs, and for counting failures.

Behind a proxy, ``REMOTE_ADDR`` is the proxy's address. Any client can send ``X-Forwarded-For``, so
that header is trusted only as far as Django REST framework's ``NUM_PROXIES`` says:

    REST_FRAMEWORK = {"NUM_PROXIES": 1}    # one proxy in front, which sets or extends the header
"""

import ipaddress
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.settings import api_settings

UNKNOWN = "an unknown address"  # a Unix socket has none


def client_address(request: HttpRequest | Request) -> str:
    """The client's address in normal form; never text that a client may have made up."""
    last = _parse(request.META.get("REMOTE_ADDR", ""))
    proxies = api_settings.NUM_PROXIES or 0
    if proxies:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        last = _parse(forwarded[-min(proxies, len(forwarded))]) or last
    return str(last) if last else UNKNOWN


def network(address: str) -> str:
    """The addresses that one client is likely to have: one of IPv4, or a /64 of IPv6."""
    known = _parse(address)
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(known) >> 64 << 64, 64)))
    return address


def _parse(text: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(str(text).strip())
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
