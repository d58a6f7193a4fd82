"""Dumps of a real site: all of it passes, comes back, and half of it is not taken for one."""

import re
from pathlib import Path

import psycopg
import pytest

from backups.exceptions import (
    DamagedSnapshotError,
    DatabaseServerError,
    NewerSnapshotError,
    UnknownSchemaError,
)
from backups.postgres.dumps.archive import read_archive
from backups.postgres.dumps.dump import Dump, check_programs, read_dump, read_programs
from tests.postgres import programs
from tests.postgres.dumps.schema import PROGRAMS, SITE
from tests.postgres.dumps.tools import environment, restore, take
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres


def make(server: Server, *sql: str) -> str:
    """A new database of the role, with this in it."""
    name = server.make_database()
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        for each in sql:
            connection.execute(each.encode())
    return name


def read(path: Path, tools: Path) -> Dump:
    return read_dump(path, pg_restore=tools / "pg_restore", seconds=60)


@pytest.mark.parametrize("compressed", [False, True])
def test_the_tables_of_a_site_are_no_programs(
    postgres: Server, tmp_path: Path, compressed: bool
) -> None:
    name = make(postgres, SITE)
    options = () if compressed else ("--compress=0",)
    path = take(postgres, name, tmp_path / "dump", *options, programs=postgres.programs)
    dump = read(path, postgres.programs)
    assert dump == Dump(())
    assert check_programs(dump, frozenset(), allow_unknown=False) == ()


def test_a_site_with_programs_of_its_own_takes_its_own_dump_alone(
    postgres: Server, tmp_path: Path
) -> None:
    name = make(postgres, SITE, PROGRAMS)
    path = take(postgres, name, tmp_path / "dump", programs=postgres.programs)
    dump = read(path, postgres.programs)
    kinds = {each.kind for each in dump.programs}
    assert kinds == {
        *("clause", "domain", "expression", "extension", "function", "materialized view"),
        *("policy", "rule", "text search configuration", "trigger", "type", "view"),
    }
    assert {each.name for each in dump.programs if each.kind == "expression"} == {
        *("public.uses: a", "public.uses: big", "public.uses"),
    }
    same = read_programs(
        postgres.programs / "pg_dump", environment=environment(postgres, name), seconds=60
    )
    assert same == set(dump.programs)
    assert check_programs(dump, same, allow_unknown=False) == ()
    for program in dump.programs:
        with pytest.raises(UnknownSchemaError):
            check_programs(dump, same - {program}, allow_unknown=False)


def test_what_passes_comes_back_as_it_was(postgres: Server, tmp_path: Path) -> None:
    name, back = make(postgres, SITE, PROGRAMS), postgres.make_database()
    path = take(postgres, name, tmp_path / "dump", "--compress=0", programs=postgres.programs)
    child = restore(postgres, back, path)
    assert (child.returncode, child.stderr) == (0, "")
    again = take(postgres, back, tmp_path / "again", programs=postgres.programs)
    assert read(again, postgres.programs).programs == read(path, postgres.programs).programs
    with psycopg.connect(postgres.url(back)) as connection:
        rows = connection.execute("SELECT name, path FROM author ORDER BY id").fetchall()
    assert rows == [("a\nb\\.\t", "x"), ("\\.", None)]


# What pg_restore says of itself, whatever the dump is.
OWN_WORDS = re.compile(
    r"(--.*\s*)*|BEGIN|COMMIT|SELECT pg_catalog\.pg_is_in_recovery\(\)"
    r"|SET (\w+_timeout = 0|standard_conforming_strings = on|check_function_bodies = false"
    r"|xmloption = content|client_min_messages = warning|row_security = off"
    r"|default_tablespace = ''|default_table_access_method = heap);?"
)


def test_the_server_gets_what_was_judged_and_nothing_else(postgres: Server, tmp_path: Path) -> None:
    name, back = make(postgres, SITE, PROGRAMS), postgres.make_database()
    path = take(postgres, name, tmp_path / "dump", programs=postgres.programs)
    with open(path, "rb") as file:
        _, entries = read_archive(file)
    judged = {text.strip() for each in entries for text in (each.sql, each.copy)}
    postgres.admin(f"ALTER DATABASE {back} SET log_statement = 'all'")
    before = postgres.log.stat().st_size
    assert restore(postgres, back, path).returncode == 0
    log = postgres.log.read_bytes()[before:].decode()
    records = re.split(r"(?m)^\d{4}-\d\d-\d\d .*?\[\d+\] ", log)
    got = [
        each.removeprefix(said).replace("\n\t", "\n").strip()
        for each in records
        if each.startswith(said := "LOG:  statement: ")
    ]
    assert sum(each in judged for each in got) > 80
    assert [each for each in got if each not in judged and not OWN_WORDS.fullmatch(each)] == []


@pytest.mark.postgres_version(15)
def test_a_newer_pg_dump_says_the_same_of_a_server(postgres: Server, tmp_path: Path) -> None:
    """But pg_restore of the server's own version does not read it."""
    own, newest = postgres.programs, programs.found()[max(programs.found())]
    name = make(postgres, SITE, PROGRAMS)
    old = read(take(postgres, name, tmp_path / "old", programs=own), newest)
    path = take(postgres, name, tmp_path / "new", programs=newest)
    new = read(path, newest)
    assert new.programs == old.programs
    with pytest.raises(NewerSnapshotError, match="unsupported version"):
        read(path, own)


def test_half_a_dump_is_damaged(postgres: Server, tmp_path: Path) -> None:
    name = make(postgres, SITE)
    path = take(postgres, name, tmp_path / "dump", "--compress=0", programs=postgres.programs)
    whole = path.read_bytes()
    cut = tmp_path / "cut"
    for length in (*range(5, len(whole), len(whole) // 25), len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(DamagedSnapshotError):
            read(cut, postgres.programs)


def test_a_flipped_bit_in_what_is_compressed_is_damage(postgres: Server, tmp_path: Path) -> None:
    rows = "CREATE TABLE many AS SELECT md5(n::text) FROM generate_series(1, 20000) n"
    name = make(postgres, rows)
    path = take(postgres, name, tmp_path / "dump", programs=postgres.programs)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DamagedSnapshotError):
        read(path, postgres.programs)


def test_a_live_database_that_is_not_there_is_named(postgres: Server) -> None:
    with pytest.raises(DatabaseServerError, match="nowhere"):
        read_programs(
            postgres.programs / "pg_dump",
            environment=environment(postgres, "nowhere"),
            seconds=60,
        )
