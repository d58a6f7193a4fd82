"""
What happens to a wrong API key: a line in the log, and 429 once an address has sent too many.

Only wrong keys count, so guessing from an address never blocks a valid key from there. Each
process counts for itself, whatever cache the project has: nobody can guess a key, so this only
protects the log.
"""

import logging
from typing import NoReturn

from django.core.cache.backends.locmem import LocMemCache
from django.utils.encoding import escape_uri_path
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from backups.keys import key_format
from backups.keys.addresses import client_address, network
from backups.keys.attempts import Attempts
from backups.keys.entries import ApiKey, moment

logger = logging.getLogger(__name__)

MOST = 20  # from one address
SECONDS = 60.0
METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}  # others may be anything
TOO_MANY = "Too many wrong API keys came from this address."
EXPIRED = "This API key expired at {}"

cache = LocMemCache("backups.keys.wrong_keys", {"OPTIONS": {"MAX_ENTRIES": 10_000}})
attempts = Attempts(cache, most=MOST, seconds=SECONDS)


def count(request: Request, presented: str) -> None:
    """Log a wrong key, and count it. :raises Throttled: if too many came from that address."""
    address = client_address(request)
    if seconds := attempts.add(network(address)):
        raise Throttled(seconds, TOO_MANY)
    logger.warning(
        "A wrong API key came from %s, for %s %s: %s.",
        address,
        request.method if str(request.method) in METHODS else "another method of",
        escape_uri_path(request.path)[:200],
        _describe(presented),
    )


def refuse_expired(request: Request, key: ApiKey) -> NoReturn:
    """Refuse an expired key. It is not a guess, so not counted. :raises AuthenticationFailed:"""
    ended = f"{moment(str(key.expires_at)):%Y-%m-%d %H:%M} UTC"
    if not attempts.add(f"expired {key.sha256}"):  # a job that keeps trying must not fill the log
        logger.warning(
            "The API key %r, which expired at %s, came from %s and was refused.",
            key.name,
            ended,
            client_address(request),
        )
    raise AuthenticationFailed(EXPIRED.format(ended))


def _describe(presented: str) -> str:
    """Help to find the cause, without showing a character of the key."""
    if key_format.is_whole(presented):
        return "a whole key that was revoked, or that belongs to another site"
    if key_format.PATTERN.fullmatch(presented):
        return "a key with a wrong checksum, perhaps mistyped"
    return "not in the form of a current key, perhaps cut off"
