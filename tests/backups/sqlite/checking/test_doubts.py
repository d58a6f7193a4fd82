"""
The proof of the quicker check: whatever SQLite's ``integrity_check`` finds makes it doubt.

With ``-s``, the long ones print their figures.
"""

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backups.processes import limits
from backups.processes.forks import Fork
from backups.sqlite.checking.findings import find_broken_references, find_damage
from backups.sqlite.checking.parts import find_doubts
from backups.sqlite.checking.sandbox import Sandbox
from backups.sqlite.format.header import use_rollback_journal
from tests.corpus import Specimen, corpus, cut
from tests.corpus.index_damage import CLASSES, combined, damaged
from tests.corpus.index_kinds import KINDS, roots
from tests.corpus.index_trees import NoRoomError, Tree
from tests.corpus.snapshots import fill, in_many_forms
from tests.site import Site, copy_site

SECONDS = 2.0  # for one check of a file that may be endless
CPU_SECONDS = 5  # for one of a hostile upload: one step of SQLite can be endless

Outcome = Callable[[Path, Callable[[Sandbox], list[str]]], list[str]]
SOME = 100  # of each kind of index, with several damages
SHORT = 300  # hostile uploads in the shorter proof
FEW, MANY = 4, 300  # changes of one byte, of each kind of index: in the quick tests, in a proof
MINUTES = 20 * 60  # in seconds: a long proof takes one alone, and more on a busy machine
WHOLE = "integrity_check(1)"

# In the last page of an index, SQLite can begin the search for a row where it found the one before.
OVERLOOKED = {("a column called rowid", "swapped")}


class Tally:
    """How the two checks agree, and the files in which only one of them found something."""

    def __init__(self, outcome: Outcome | None = None) -> None:
        self._outcome = outcome or _outcome
        self.counts: Counter[str] = Counter()
        self.missed: list[str] = []
        self.false_doubts: Counter[str] = Counter()

    def compare(self, path: Path, name: str, family: str) -> bool:
        """Check a file in both ways. Returns whether integrity_check finds anything."""
        doubts = self._outcome(path, find_doubts)
        found = self._outcome(path, _find_by_sqlite)
        self.counts["files"] += 1
        self.counts["with a doubt"] += bool(doubts)
        self.counts["with a finding"] += bool(found)
        if found and not doubts:
            self.missed.append(f"{name}: {found}")
        if doubts and not found:
            self.false_doubts[family] += 1
        return bool(found)

    def report(self) -> str:
        counts = dict(self.counts)
        return f"SQLite {sqlite3.sqlite_version}: {counts}; false doubts: {self.false_doubts}"


def _find_by_sqlite(sandbox: Sandbox) -> list[str]:
    return find_damage(sandbox, "", WHOLE) or find_broken_references(sandbox, "")


def _outcome(path: Path, check: Callable[[Sandbox], list[str]]) -> list[str]:
    """What a check finds; also that it can't go on."""
    try:
        with closing(Sandbox(path, seconds=SECONDS)) as sandbox:
            return check(sandbox)
    except (sqlite3.Error, MemoryError, ValueError) as error:  # its message may be no UTF-8
        return [str(error)]


def _outcome_apart(path: Path, check: Callable[[Sandbox], list[str]]) -> list[str]:
    """As ``_outcome``, in a process of its own, which ends when its time is over."""

    def work() -> bytes:
        limits.lower_processor_time(CPU_SECONDS)
        return json.dumps(_outcome(path, check)).encode()

    fork = Fork(work)
    try:
        return json.loads(fork.answer() or b'["its time was over"]')  # type: ignore[no-any-return]
    finally:
        fork.end()


def _cases(kind: str, path: Path, *, is_long: bool) -> Iterator[tuple[str, bytes]]:
    """Each class of damage to the indexes of this kind: all, or the half of them in one place."""
    content = KINDS[kind].make(path)
    number = list(KINDS).index(kind)
    for name, root in roots(path).items():
        for damage in CLASSES:
            number += 1
            for is_inner in (False, True):
                for first in (0, 1, 7):
                    if not is_long and (number % 2 or is_inner != bool(number % 4) or first):
                        continue
                    try:
                        spoilt = damaged(
                            content, root, CLASSES[damage], is_inner=is_inner, first=first
                        )
                    except NoRoomError:
                        continue
                    yield damage if name != "t" else f"table {damage}", spoilt


def _changes(kind: str, path: Path, number: int) -> Iterator[bytes]:
    """Changes of one byte in a page of an index, the same ones in each run."""
    content = KINDS[kind].make(path)
    chance = random.Random(kind)
    trees = [Tree(content, root) for root in roots(path).values()]
    for _ in range(number):
        tree = chance.choice(trees)
        page = chance.choice(sorted(tree.pages))
        at = (page - 1) * tree.size + chance.randrange(tree.size)
        spoilt = bytearray(content)
        spoilt[at] ^= chance.randrange(1, 256)
        yield bytes(spoilt)


def is_expected(kind: str, damage: str) -> bool:
    """Whether integrity_check finds this damage, in each SQLite."""
    return not (
        damage.startswith("long")  # no query reads what is there
        or damage == "other letter case"  # older ones don't look
        or (kind.startswith("partial") and damage.startswith(("extra", "doubled")))  # newer ones
        or damage.startswith("table")  # which then has other rows
    )


@pytest.mark.parametrize("kind", KINDS)
def test_whole_index_leaves_no_doubt(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    KINDS[kind].make(path)
    assert _outcome(path, find_doubts) == _outcome(path, _find_by_sqlite) == []


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_index_leaves_a_doubt(kind: str, tmp_path: Path) -> None:
    path, tally = tmp_path / "x.db", Tally()
    for damage, spoilt in _cases(kind, path, is_long=False):
        path.write_bytes(spoilt)
        assert tally.compare(path, damage, damage) or not is_expected(kind, damage), damage
    for spoilt in _changes(kind, path, FEW):
        path.write_bytes(spoilt)
        tally.compare(path, "one byte", "one byte")
    assert not tally.missed


@pytest.mark.proof
@pytest.mark.timeout(MINUTES)
def test_each_class_of_damage_in_each_kind_of_index_leaves_a_doubt(tmp_path: Path) -> None:
    path, tally, silent = tmp_path / "x.db", Tally(), []
    for kind in KINDS:
        for damage, spoilt in _cases(kind, path, is_long=True):
            path.write_bytes(spoilt)
            found = tally.compare(path, f"{kind}, {damage}", f"{kind}, {damage}")
            if not found and is_expected(kind, damage):
                silent.append((kind, damage))
    print(tally.report())
    assert not tally.missed
    assert set(silent) <= OVERLOOKED
    assert tally.counts["with a finding"] > 3_000


def compare_in_each_kind(path: Path, make: Callable[[str], Iterator[bytes]]) -> Tally:
    """Check the files that are made of each kind of index, in both ways."""
    tally = Tally()
    for kind in KINDS:
        for number, spoilt in enumerate(make(kind)):
            path.write_bytes(spoilt)
            tally.compare(path, f"{kind}, {number}", kind)
    print(tally.report())
    assert not tally.missed
    assert tally.counts["with a finding"] > 3_000
    return tally


@pytest.mark.proof
@pytest.mark.timeout(MINUTES)
def test_ten_thousand_changes_of_one_byte_leave_a_doubt(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    tally = compare_in_each_kind(path, lambda kind: _changes(kind, path, MANY))
    assert tally.counts["files"] >= 10_000


@pytest.mark.proof
@pytest.mark.timeout(MINUTES)
def test_damage_that_may_hide_other_damage_leaves_a_doubt(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    def several(kind: str) -> Iterator[bytes]:
        content, chance = KINDS[kind].make(path), random.Random(kind)
        trees = list(roots(path).values())
        for _ in range(SOME):
            yield combined(content, chance.choice(trees), chance)

    compare_in_each_kind(path, several)


@pytest.fixture(scope="module")
def specimens(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> list[Specimen]:
    """The hostile uploads, made of a site with one of everything."""
    site = copy_site(template_site, tmp_path_factory.mktemp("hostile") / "data")
    with site.serving() as server:
        fill(site, server)
        content = server.api("GET", "backup").content
    return corpus(in_many_forms(content))


def compare_all(specimens: list[Specimen], path: Path) -> None:
    """Check these files in both ways."""
    tally = Tally(_outcome_apart)
    for specimen in specimens:
        path.write_bytes(specimen.make())
        use_rollback_journal(path)
        tally.compare(path, specimen.name, specimen.family)
    print(tally.report())
    assert not tally.missed


@pytest.mark.proof
def test_hostile_uploads_leave_a_doubt(specimens: list[Specimen], tmp_path: Path) -> None:
    compare_all(cut(specimens, SHORT), tmp_path / "x.db")


@pytest.mark.crash
def test_the_whole_corpus_leaves_a_doubt(specimens: list[Specimen], tmp_path: Path) -> None:
    assert len(specimens) >= 2_000
    compare_all(specimens, tmp_path / "x.db")
