"""The parts of a check find what the whole check finds."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest

from backups.sqlite.checking.defects import place_of
from backups.sqlite.checking.findings import MOST_FINDINGS, find_damage
from backups.sqlite.checking.pragmas import REFERENCES, STRUCTURE, WHOLE, find_parts
from backups.sqlite.checking.sandbox import Sandbox
from tests.backups.sqlite.checking.indexed_databases import DAMAGE, indexed
from tests.corpus import damage


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return indexed(tmp_path / "x.db")


def findings(path: Path, *checks: str) -> list[str]:
    """What these checks find, or all the parts if none is named."""
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        return [
            finding
            for check in checks or find_parts(sandbox.connection)[:-1]
            for finding in find_damage(sandbox, "", check)
        ]


def places(found: list[str]) -> set[str]:
    """Of defects only where they are: the check of one table stops after a hundred."""
    return {place_of(finding) or finding for finding in found}


def has_damage(path: Path, *checks: str) -> bool:
    """Whether these checks find any, or can't go on for it."""
    try:
        return bool(findings(path, *checks))
    except sqlite3.Error:
        return True


def test_parts_are_the_longest_table_then_the_whole_without_indexes_then_the_rest(
    path: Path,
) -> None:
    with closing(Sandbox(path, seconds=30.0)) as sandbox:
        first, second, *rest, last = find_parts(sandbox.connection)
    assert first in ('integrity_check("long")', 'integrity_check("counted")')
    assert (second, last) == (STRUCTURE, REFERENCES)
    others = {"long", "short", "keyed", 'it\'s ""odd"" here', "counted", "sqlite_sequence"}
    assert {first, *rest} == {f'integrity_check("{name}")' for name in others}


def test_whole_file_is_whole_either_way(path: Path) -> None:
    assert findings(path) == findings(path, WHOLE) == []


@pytest.mark.parametrize("kind", DAMAGE)
def test_parts_find_what_the_whole_check_finds(kind: str, path: Path) -> None:
    DAMAGE[kind](path)
    whole = places(findings(path, WHOLE)[:MOST_FINDINGS])
    assert whole
    assert places(findings(path)) >= whole


@pytest.mark.parametrize("family", damage.FAMILIES)
def test_parts_and_whole_agree_on_spoilt_bytes(family: str, path: Path) -> None:
    content, (_, spoil) = path.read_bytes(), damage.FAMILIES[family]
    for number in range(12):
        path.write_bytes(spoil(content, random.Random(f"{family} {number}"), number))
        assert has_damage(path) == has_damage(path, WHOLE), number


@pytest.mark.parametrize("name", ["a\0b", "a\ufffd"])
def test_name_that_no_statement_can_have_is_not_shared(name: str) -> None:
    connection = mock.Mock()
    connection.execute.return_value.fetchall.return_value = [
        ("main", "long", "table"),
        ("main", name, "table"),
    ]
    assert find_parts(connection) == [WHOLE, REFERENCES]
