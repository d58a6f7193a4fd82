"""
Damage to an index whose pages stay well formed: entries that say what the table does not.

Each class takes the tree of an index, and the place of an entry to begin with.
"""

from collections.abc import Callable
from random import Random

from tests.corpus.index_trees import NoRoomError, Place, Tree, integer, text

Damage = Callable[[Tree, Place], None]
NOWHERE = 2**40  # a rowid that no row has


def missing(tree: Tree, place: Place) -> None:
    """One entry less."""
    tree.remove(place)


def doubled(tree: Tree, place: Place) -> None:
    """The same entry again, beside it."""
    tree.insert(place, tree[place])


def doubled_for_another(tree: Tree, place: Place) -> None:
    """The same entry again, in place of its neighbour: the number of entries stays right."""
    tree.replace(_next(tree, place, 1), tree[place])


def doubled_far_away(tree: Tree, place: Place) -> None:
    """The same entry again, in place of one far away: also out of order."""
    tree.replace(_next(tree, place, len(tree.places) // 2), tree[place])


def swapped(tree: Tree, place: Place) -> None:
    """Two neighbours in each other's place."""
    tree.swap(place, _next(tree, place, 1))


def moved(tree: Tree, place: Place) -> None:
    """Two entries that are far apart, in each other's place."""
    tree.swap(place, _next(tree, place, len(tree.places) // 2))


def of_another_row(tree: Tree, place: Place) -> None:
    """The entry names a row whose value is another."""
    other = tree[_next(tree, place, len(tree.places) // 2)]
    tree.replace(place, [*tree[place][:-1], other[-1]])


def rows_exchanged(tree: Tree, place: Place) -> None:
    """Two entries that name each other's rows."""
    other = _next(tree, place, len(tree.places) // 3)
    first, second = tree[place], tree[other]
    tree.replace(place, [*first[:-1], second[-1]])
    tree.replace(other, [*second[:-1], first[-1]])


def of_no_row(tree: Tree, place: Place) -> None:
    """The entry names a row that is not there."""
    tree.replace(place, [*tree[place][:-1], integer(NOWHERE)])


def other_value(tree: Tree, place: Place) -> None:
    """Another value of the same type, between its neighbours or not."""
    (kind, value), *rest = tree[place]
    if not value:
        raise NoRoomError
    tree.replace(place, [(kind, value[:-1] + bytes([value[-1] ^ 2])), *rest])


def other_letter_case(tree: Tree, place: Place) -> None:
    """The same letters in the other case, for what a collation calls equal."""
    (kind, value), *rest = tree[place]
    if kind < 13 or value.swapcase() == value:
        raise NoRoomError
    tree.replace(place, [(kind, value.swapcase()), *rest])


def other_last_value(tree: Tree, place: Place) -> None:
    """Another value in the last column before the row's key."""
    *rest, (kind, value), last = tree[place]
    if not value:
        raise NoRoomError
    tree.replace(place, [*rest, (kind, value[:-1] + bytes([value[-1] ^ 1])), last])


def other_type(tree: Tree, place: Place) -> None:
    """A number as text, text as bytes, NULL as zero."""
    (kind, value), *rest = tree[place]
    if kind == 0:
        tree.replace(place, [(8, b""), *rest])
    elif kind < 12:
        number = int.from_bytes(value, "big", signed=True) if kind < 7 else kind - 8
        tree.replace(place, [text(b"%d" % number), *rest])
    else:
        tree.replace(place, [(kind ^ 1, value), *rest])


def null(tree: Tree, place: Place) -> None:
    """NULL instead of a value."""
    if tree[place][0][0] == 0:
        raise NoRoomError
    tree.replace(place, [(0, b""), *tree[place][1:]])


def extra(tree: Tree, place: Place) -> None:
    """One entry more, for a row that is not there."""
    tree.insert(place, [*tree[place][:-1], integer(NOWHERE)])


def extra_for_a_row(tree: Tree, place: Place) -> None:
    """One entry more, with another value, for a row that has its own."""
    other = tree[_next(tree, place, len(tree.places) // 2)]
    tree.insert(place, [*tree[place][:-1], other[-1]])


def short(tree: Tree, place: Place) -> None:
    """The entry ends before the row's key."""
    tree.replace(place, tree[place][:-1])


def only_the_row(tree: Tree, place: Place) -> None:
    """The entry holds only the row's key."""
    tree.replace(place, tree[place][-1:])


def long(tree: Tree, place: Place) -> None:
    """The entry goes on after the row's key."""
    tree.replace(place, [*tree[place], integer(7)])


def long_in_the_middle(tree: Tree, place: Place) -> None:
    """The row's key is in the entry twice, with something between."""
    tree.replace(place, [*tree[place], integer(7), tree[place][-1]])


def row_as_text(tree: Tree, place: Place) -> None:
    """The row's key has another type."""
    kind, value = tree[place][-1]
    if kind > 6:
        raise NoRoomError
    words = b"%d" % int.from_bytes(value, "big", signed=True)
    tree.replace(place, [*tree[place][:-1], text(words)])


CLASSES: dict[str, Damage] = {
    each.__name__.replace("_", " "): each
    for each in (
        *(missing, doubled, doubled_for_another, doubled_far_away, swapped, moved),
        *(of_another_row, rows_exchanged, of_no_row, other_value, other_letter_case),
        *(other_last_value, other_type, null, extra, extra_for_a_row),
        *(short, only_the_row, long, long_in_the_middle, row_as_text),
    )
}


def damaged(content: bytes, root: int, damage: Damage, *, is_inner: bool, first: int) -> bytes:
    """
    The database with this damage, at the first place of this sort where it can be made.

    :param first: at which of these places to begin.
    :raises NoRoomError: there is none.
    """
    for number in range(first, first + 20):
        tree = Tree(content, root)
        places = [place for place in tree.places[:-1] if place.is_inner == is_inner]
        try:
            damage(tree, places[number % len(places)])
        except NoRoomError:
            continue
        if tree.content != content:
            return bytes(tree.content)
    raise NoRoomError


def combined(content: bytes, root: int, chance: Random) -> bytes:
    """The database with a few of these at random places, where one can hide another."""
    spoilt = content
    for _ in range(chance.randrange(2, 5)):
        tree = Tree(spoilt, root)
        try:
            chance.choice(list(CLASSES.values()))(tree, chance.choice(tree.places))
        except NoRoomError:
            continue
        spoilt = bytes(tree.content)
    return spoilt


def _next(tree: Tree, place: Place, distance: int) -> Place:
    """The place so many entries further on, with another record."""
    begin = tree.places.index(place) + distance
    for number in range(begin, begin + len(tree.places)):
        other = tree.places[number % len(tree.places)]
        if tree[other] != tree[place]:
            return other
    raise NoRoomError
