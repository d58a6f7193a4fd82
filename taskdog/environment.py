"""
Read settings from environment variables.

A variable that is absent or blank takes its default. One that cannot be understood stops the
start with ``ImproperlyConfigured``, naming the variable: a guess could turn something off.
"""

import ipaddress
import os
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def text(name: str, default: str = "") -> str:
    """Read a variable without the space around it."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool) -> bool:
    """Read a yes or no: 1/true/yes/on or 0/false/no/off, in either case."""
    given = text(name).lower()
    if not given:
        return default
    if given in TRUE:
        return True
    if given in FALSE:
        return False
    raise ImproperlyConfigured(
        f"{name} is {given!r}; it must be one of 1, true, yes, on, 0, false, no, off."
    )


def whole_number(name: str, *, default: int, minimum: int = 0) -> int:
    """Read a whole number in decimal digits that is not below ``minimum``."""
    given = text(name)
    if not given:
        return default
    if not (given.isascii() and given.isdigit()) or int(given) < minimum:
        raise ImproperlyConfigured(
            f"{name} is {given!r}; it must be a whole number, {minimum} or more."
        )
    return int(given)


def items(name: str) -> list[str]:
    """Read a list whose items are separated by commas; empty ones are left out."""
    return [item.strip() for item in text(name).split(",") if item.strip()]


def networks(name: str, *, default: str) -> str:
    """Read addresses and networks, separated by commas: ``10.0.0.7, 10.1.0.0/16``."""
    given = items(name)
    for item in given:
        try:
            ipaddress.ip_network(item)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} has {item!r}; it must be an IP address or a network: {error}."
            ) from error
    return ",".join(given) or default


def choice(name: str, options: Sequence[str], *, default: str) -> str:
    """Read one of ``options``, whatever its case; the answer is spelled as in ``options``."""
    given = text(name, default)
    for option in options:
        if given.lower() == option.lower():
            return option
    raise ImproperlyConfigured(f"{name} is {given!r}; it must be one of {', '.join(options)}.")
