"""What PostgreSQL can't hold: it is counted by table and column, and a thousand are named."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain, zip_longest

from backups.site.names import clip

MOST_NAMED = 1000  # in one message
OF_EACH = 20  # of each place can be named, however many there are of another
MOST_PLACES = 1000  # a hostile file can have a hundred thousand columns
MOST_COUNTED = 50  # places, in one message
MOST_SAID = 400  # letters of what PostgreSQL says of a row
FEW = 20  # that are seen at a glance
ELSEWHERE = "others"


class Faults:
    """Those of one snapshot. False while there are none."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._named: dict[str, list[str]] = {}
        self._spare = MOST_NAMED

    def __bool__(self) -> bool:
        return bool(self._counts)

    @property
    def count(self) -> int:
        return self._counts.total()

    def add(self, table: str, key: object, column: str, why: str) -> None:
        """
        :param key: the value of the row's primary key; None if the row is not known.
        :param column: empty if it is the row as a whole.
        :param why: the rest of a sentence: ``has a NUL character``.
        """
        row = "" if key is None else f", row {clip(str(key))}"
        place = f", column {clip(column)}" if column else ""
        said = why if len(why) <= MOST_SAID else f"{why[:MOST_SAID]}…"
        where = ".".join(map(clip, filter(None, (table, column))))
        self._note(where, f"{clip(table)}{row}{place}: {said}")

    def named(self) -> list[str]:
        """The first of every place, then the second … up to ``MOST_NAMED``."""
        rounds: Iterable[tuple[str | None, ...]] = zip_longest(*self._named.values())
        return [each for each in chain.from_iterable(rounds) if each is not None][:MOST_NAMED]

    def sentence(self) -> str:
        """All of it in one message: a line for each."""
        named = self.named()
        if self.count == 1:
            return f"PostgreSQL can't hold a value of the snapshot. {named[0]}."
        if more := self.count - len(named):
            named.append(f"and {more:,} more")
        lines = ";\n".join(named)
        what = f"{self.count:,} values of the snapshot{self._by_place()}"
        return f"PostgreSQL can't hold {what}\n{lines}."

    def _by_place(self) -> str:
        """How many each column has, the most first: what to mend with one statement."""
        if self.count <= FEW:
            return "."
        counted = [
            f"{count:,} in {place}" for place, count in self._counts.most_common(MOST_COUNTED)
        ]
        more = len(self._counts) - len(counted)
        return f": {', '.join(counted)}{f' and {more:,} more columns' if more else ''}."

    def _note(self, place: str, words: str) -> None:
        if place not in self._counts and len(self._counts) >= MOST_PLACES:
            place = ELSEWHERE
        self._counts[place] += 1
        named = self._named.setdefault(place, [])
        if len(named) < OF_EACH:
            named.append(words)
        elif self._spare:
            self._spare -= 1
            named.append(words)
