"""Two processes find in a file what one finds."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from backups.exceptions import ChildNotStartedError
from backups.sqlite.checking import partner
from backups.sqlite.checking.check_child import inspect
from backups.sqlite.checking.messages import CHANGED, UNCHANGED, Question
from backups.sqlite.checking.partner import Partner
from backups.sqlite.checking.pragmas import Findings
from backups.sqlite.checking.sandbox import Sandbox
from tests.backups.sqlite.checking.indexed_databases import DAMAGE, STRUCTURAL, indexed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return indexed(tmp_path / "x.db")


def asked(path: Path) -> Question:
    return Question(str(path), seconds=30.0)


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_several_parts_find_is_told_once(kind: str, path: Path) -> None:
    DAMAGE[kind](path)
    by_one = inspect(asked(path))
    with mock.patch.object(partner, "SHARED_FROM", 0):
        by_two = inspect(asked(path))
    assert by_two.damage or by_two.defects
    assert len(by_two.damage) == len(set(by_two.damage))
    assert by_two.defects == by_one.defects


@pytest.mark.parametrize("kind", [None, *DAMAGE])
def test_two_processes_find_what_one_finds(kind: str | None, path: Path) -> None:
    if kind is not None:
        DAMAGE[kind](path)
    alone = inspect(asked(path))
    with mock.patch.object(partner, "SHARED_FROM", 0):
        together = inspect(asked(path))
    assert bool(together.damage) == bool(alone.damage) == (kind in STRUCTURAL)
    assert set(together.damage) & set(alone.damage) or kind not in STRUCTURAL
    assert together.defects == alone.defects
    assert bool(alone.defects) == (kind is not None and kind not in STRUCTURAL)


@pytest.fixture
def nothing_here() -> Iterator[None]:
    """This process takes no part, so that all of them are left to the other."""
    with mock.patch.object(partner, "check_share", return_value=Findings()):
        yield


@pytest.mark.usefixtures("nothing_here")
def test_other_process_takes_what_is_left(path: Path) -> None:
    with (
        mock.patch.object(partner, "SHARED_FROM", 0),
        closing(Partner(asked(path))) as other,
        closing(Sandbox(path, seconds=30.0)) as sandbox,
        mock.patch.object(Findings, "check") as again,
    ):
        found = other.check(sandbox, changed=False)
    assert not found.damage
    again.assert_not_called()


@pytest.mark.usefixtures("nothing_here")
def test_other_process_that_dies_leaves_nothing_unchecked(path: Path) -> None:
    DAMAGE["row missing from an index of another table"](path)
    with mock.patch.object(partner, "SHARED_FROM", 0), closing(Partner(asked(path))) as other:
        other._process.kill()
        other._process.wait()
        with closing(Sandbox(path, seconds=30.0)) as sandbox:
            found = other.check(sandbox, changed=False)
    assert any("short_other" in finding for finding in found.broken_rules)


@pytest.mark.parametrize("error", [OSError("too many"), ChildNotStartedError("no Python")])
def test_file_is_checked_by_one_process_where_no_other_starts(error: Exception, path: Path) -> None:
    with (
        mock.patch.object(partner, "SHARED_FROM", 0),
        mock.patch.object(partner, "command", side_effect=error),
        closing(Partner(asked(path))) as other,
        closing(Sandbox(path, seconds=30.0)) as sandbox,
    ):
        assert not other.check(sandbox, changed=False).damage


def test_small_file_is_checked_by_one_process(path: Path) -> None:
    with closing(Partner(asked(path))) as other:
        assert not other.is_there
        with closing(Sandbox(path, seconds=30.0)) as sandbox:
            assert not other.check(sandbox, changed=False).damage


def test_other_process_ends_with_its_parent_s_pipe(path: Path) -> None:
    with mock.patch.object(partner, "SHARED_FROM", 0):
        other = Partner(asked(path))
    process = other._process
    other.close()
    assert process.returncode is not None, "no zombie"


@pytest.mark.parametrize("shared_from", [0, partner.SHARED_FROM])
def test_broken_references_are_found_by_one_or_two(shared_from: int, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE refers (id INTEGER PRIMARY KEY, to_id REFERENCES long)")
        connection.execute("INSERT INTO refers VALUES (7, 999999)")
        connection.commit()
    with mock.patch.object(partner, "SHARED_FROM", shared_from):
        verdict = inspect(asked(path))
    assert not verdict.damage
    assert verdict.broken_references == [
        "row 7 of refers refers to a row of long that is not there"
    ]


@pytest.mark.parametrize("shared_from", [0, partner.SHARED_FROM])
@pytest.mark.parametrize(("changed", "word"), [(True, CHANGED), (False, UNCHANGED)])
def test_who_waits_to_hash_the_file_is_told_once(
    shared_from: int, path: Path, *, changed: bool, word: bytes
) -> None:
    told, tell = os.pipe()
    question = replace(asked(path), settled=tell)
    with (
        mock.patch.object(partner, "SHARED_FROM", shared_from),
        closing(Partner(question)) as other,
        closing(Sandbox(path, seconds=30.0)) as sandbox,
    ):
        assert not other.check(sandbox, changed=changed).damage
    os.close(tell)
    with open(told, "rb") as words:
        assert words.read() == word


def test_file_that_was_sent_is_checked_by_one_process(path: Path) -> None:
    DAMAGE["row missing from an index"](path)
    question = replace(asked(path), is_ours=True)
    with mock.patch.object(partner, "SHARED_FROM", 0), closing(Partner(question)) as other:
        assert not other.is_there
        with closing(Sandbox(path, seconds=30.0)) as sandbox:
            found = other.check(sandbox, changed=False)
    assert not found.damage, "the quick check compares no index with its table"
