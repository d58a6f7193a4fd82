"""Names that a snapshot has, in a sentence: a hostile one's may be many, long, or many lines."""

from collections.abc import Collection

MOST_NAMED = 5  # an error names so many; a snapshot can have hundreds
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
    """The letter at the end of the word before them."""
    return "s" if len(names) > 1 else ""
