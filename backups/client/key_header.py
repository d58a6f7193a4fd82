"""
The header that carries a key to a server: its name, with or without a scheme.

Apart from the client, since it is checked also where the client's packages are not installed.
"""

# RFC 9110, 5.6.2: what the name of a header and a scheme are made of.
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def header_parts(header: str) -> tuple[str, str] | None:
    """The name of a header, and the scheme or nothing; None if that is not what it is."""
    name, _, scheme = (part.strip() for part in header.partition(":"))
    return (name, scheme) if name and set(name + scheme) <= TOKEN else None
