"""Put names from a snapshot into a sentence. A hostile one may have many, or very long ones."""

from collections.abc import Collection

MOST_NAMED = 5  # in one message; a snapshot can have a hundred thousand
MOST_LETTERS = 100  # of a name


def some(names: list[str]) -> str:
    """``auth, shop, blog, pages, tags and 3 more``."""
    more = len(names) - MOST_NAMED
    return ", ".join(map(clip, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def clip(name: str) -> str:
    """A name on one line, cut where it is too long to read."""
    line = " ".join(name.split())
    return line if len(line) <= MOST_LETTERS else line[:MOST_LETTERS] + "…"


def plural(names: Collection[object]) -> str:
    """The plural ending of the word before these names."""
    return "s" if len(names) > 1 else ""
