"""
The header that carries a key to a server: its name, with or without a scheme.

Separate from the client, since it is also checked where the client's packages are not installed.
"""

# RFC 9110, 5.6.2: the characters in the name of a header or of a scheme.
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def header_parts(header: str) -> tuple[str, str] | None:
    """The header's name and its scheme, which can be empty; None if this is not a header."""
    name, _, scheme = (part.strip() for part in header.partition(":"))
    return (name, scheme) if name and set(name + scheme) <= TOKEN else None
