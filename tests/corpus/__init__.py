"""
Some two thousand hostile uploads, the same ones in every run: a seeded fuzzer over real snapshots.

Damage to bytes is in ``damage``, schemas that a person would think of in ``schemas``. A specimen
is made when it is asked for, so that any of them can be had alone.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.corpus import damage, schemas

SEED = 20261123


@dataclass(frozen=True)
class Specimen:
    """One hostile file, by name."""

    name: str  # family, number, and the snapshot that it was made of
    make: Callable[[], bytes]

    @property
    def family(self) -> str:
        """What was done to it."""
        return self.name.partition(" ")[0]


def corpus(snapshots: Mapping[str, bytes]) -> list[Specimen]:
    """
    All specimens.

    :param snapshots: good ones by name; what is in them decides, with the seed, what comes out.
    """
    return [*_damaged(snapshots), *_reschemed(snapshots)]


def cut(specimens: list[Specimen], number: int) -> list[Specimen]:
    """So many of them, from every family, the same ones in every run."""
    families: dict[str, list[Specimen]] = {}
    for specimen in specimens:
        families.setdefault(specimen.family, []).append(specimen)
    chosen: list[Specimen] = []
    draw = random.Random(SEED)
    for family in families.values():
        draw.shuffle(family)
    while len(chosen) < number:
        for family in families.values():
            chosen += family[:1]
            del family[:1]
    return chosen[:number]


def _damaged(snapshots: Mapping[str, bytes]) -> list[Specimen]:
    names = sorted(snapshots)
    specimens = []
    for family, (count, spoil) in damage.FAMILIES.items():
        for number in range(count):
            name = names[number % len(names)]
            specimens.append(
                Specimen(
                    f"{family} {number} of {name}",
                    lambda spoil=spoil, name=name, family=family, number=number: spoil(  # type: ignore[misc]
                        snapshots[name], random.Random(f"{SEED} {family} {number}"), number
                    ),
                )
            )
    return specimens


def _reschemed(snapshots: Mapping[str, bytes]) -> list[Specimen]:
    specimens = []
    names = sorted(snapshots)
    for number, (title, script) in enumerate(schemas.SCRIPTS.items()):
        name = names[number % len(names)]
        specimens.append(
            Specimen(
                f"schema {title} of {name}",
                lambda script=script, name=name: schemas.changed(snapshots[name], script),  # type: ignore[misc]
            )
        )
    for number in range(schemas.FLIPPED):
        title = list(schemas.SCRIPTS)[number % len(schemas.SCRIPTS)]
        name = names[number % len(names)]
        specimens.append(
            Specimen(
                f"schema-and-flips {number} {title} of {name}",
                lambda title=title, name=name, number=number: damage.flip_bits(  # type: ignore[misc]
                    schemas.changed(snapshots[name], schemas.SCRIPTS[title]),
                    random.Random(f"{SEED} flipped {number}"),
                    number,
                ),
            )
        )
    return specimens
