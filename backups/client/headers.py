"""Headers of an answer that say how long and what its body is."""

import base64
from collections.abc import Mapping

MOST_DIGITS = 18  # in a number in a header: this app sends no longer one


def repr_digest(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 of the whole, in hex, by the header ``Repr-Digest`` (RFC 9530), if any."""
    for member in headers.get("Repr-Digest", "").split(","):
        name, _, value = member.strip().partition("=")
        if name == "sha-256" and value.startswith(":") and value.endswith(":"):
            try:
                return base64.b64decode(value[1:-1], validate=True).hex()
            except ValueError:
                return None
    return None


def number(given: str | None) -> int | None:
    """A header's whole number; None if the header is missing or is something else."""
    if given and given.isascii() and given.isdecimal() and len(given) <= MOST_DIGITS:
        return int(given)
    return None
