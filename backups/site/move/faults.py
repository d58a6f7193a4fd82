"""What PostgreSQL can't hold: all of it is counted, and some of each kind is named."""

from collections.abc import Iterable
from itertools import chain, zip_longest

from backups.site.names import clip

MOST_NAMED = 20  # in one message
MOST_PLACES = 1000  # a hostile file can have a hundred thousand columns


class Faults:
    """Those of one snapshot. False while there are none."""

    def __init__(self) -> None:
        self.count = 0
        self._by_place: dict[tuple[str, str], list[str]] = {}

    def __bool__(self) -> bool:
        return self.count > 0

    def add(self, table: str, key: object, column: str, why: str) -> None:
        """
        :param key: the value of the row's primary key; None if the row is not known.
        :param why: the rest of a sentence: ``has a NUL character``.
        """
        row = "" if key is None else f", row {clip(str(key))}"
        place = f", column {clip(column)}" if column else ""
        self._note(table, column, f"{clip(table)}{row}{place}: {why}")

    def add_words(self, table: str, words: str) -> None:
        """What PostgreSQL said of a table."""
        self._note(table, "", f"{clip(table)}: {words}")

    def named(self) -> list[str]:
        """The first of every place, then the second … up to ``MOST_NAMED``."""
        rounds: Iterable[tuple[str | None, ...]] = zip_longest(*self._by_place.values())
        return [each for each in chain.from_iterable(rounds) if each is not None][:MOST_NAMED]

    def sentence(self) -> str:
        """All of it in one message."""
        named = self.named()
        more = self.count - len(named)
        what = "a value" if self.count == 1 else f"{self.count:,} values"
        return (
            f"PostgreSQL can't hold {what} of the snapshot. {'; '.join(named)}"
            f"{f'; and {more:,} more' if more else ''}."
        )

    def _note(self, table: str, column: str, words: str) -> None:
        self.count += 1
        if len(self._by_place) < MOST_PLACES or (table, column) in self._by_place:
            named = self._by_place.setdefault((table, column), [])
            if len(named) < MOST_NAMED:
                named.append(words)
