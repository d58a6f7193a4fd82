"""A dump is judged, then read to its end by a child that ends when it must."""

import os
import stat
from pathlib import Path

import pytest

from backups.exceptions import (
    BackupError,
    CheckTimedOutError,
    ChildFailedError,
    ChildNotStartedError,
    DamagedSnapshotError,
    DatabaseServerError,
    NewerSnapshotError,
    UnknownSchemaError,
)
from backups.postgres.dumps.dump import Dump, check_programs, read_dump, read_programs
from backups.sqlite.format.schema import Program
from tests.backups.postgres.dumps.archives import Line, archive

TABLE = Line("TABLE", "t", "CREATE TABLE public.t (\n    a text\n);\n")
VIEW = Line("VIEW", "v", "CREATE VIEW public.v AS SELECT 1;\n")
PROGRAM = Program("view", "public.v", "CREATE VIEW public.v AS SELECT 1;")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump"
    path.write_bytes(archive(TABLE, VIEW, TABLE))
    return path


def program(folder: Path, *lines: str) -> Path:
    """A stand-in for pg_restore or pg_dump."""
    path = folder / "program"
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(stat.S_IRWXU)
    return path


def test_what_a_dump_is(dump: Path, tmp_path: Path) -> None:
    reader = program(tmp_path, f'echo "$@" > {tmp_path}/words')
    assert read_dump(dump, pg_restore=reader, seconds=60) == Dump((PROGRAM,))
    assert (tmp_path / "words").read_text() == f"--file=/dev/null {dump}\n"


@pytest.mark.parametrize(
    ("lines", "error", "words"),
    [
        (
            ("echo error: could not read from input file >&2; exit 1",),
            DamagedSnapshotError,
            "input",
        ),
        (("exit 1",), DamagedSnapshotError, "exit code 1"),
        (
            ("echo 'pg_restore: error: unsupported version (1.16) in file header' >&2; exit 1",),
            NewerSnapshotError,
            "unsupported version",
        ),
        (("kill -9 $$",), ChildFailedError, "signal 9"),
        (("exec sleep 600",), CheckTimedOutError, "time limit"),
    ],
)
def test_it_must_be_readable_to_its_end(
    dump: Path, tmp_path: Path, lines: tuple[str, ...], error: type[BackupError], words: str
) -> None:
    seconds = 0.2 if error is CheckTimedOutError else 60
    with pytest.raises(error, match=words) as caught:
        read_dump(dump, pg_restore=program(tmp_path, *lines), seconds=seconds)
    assert type(caught.value) is error


def test_judging_has_its_time_too(dump: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckTimedOutError):
        read_dump(dump, pg_restore=tmp_path / "nowhere", seconds=0)


def test_the_child_is_killed_if_the_watch_raises(dump: Path, tmp_path: Path) -> None:
    reader = program(tmp_path, f"echo $$ > {tmp_path}/pid", "exec sleep 600")

    def watch() -> None:
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_dump(dump, pg_restore=reader, seconds=600, watch=watch)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_program_that_is_not_there_is_named(dump: Path, tmp_path: Path) -> None:
    with pytest.raises(ChildNotStartedError, match="nowhere"):
        read_dump(dump, pg_restore=tmp_path / "nowhere", seconds=60)


def test_nothing_reads_a_hostile_dump(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(archive(Line("TABLE", sql="ALTER DATABASE live RENAME TO dead")))
    reader = program(tmp_path, f"touch {tmp_path}/ran")
    with pytest.raises(UnknownSchemaError):
        read_dump(path, pg_restore=reader, seconds=60)
    assert not (tmp_path / "ran").exists()


def test_the_live_programs_are_read_in_the_same_way(dump: Path, tmp_path: Path) -> None:
    taker = program(tmp_path, f'echo "$PGDATABASE $@" > {tmp_path}/words', f"cat {dump}")
    live = read_programs(taker, environment={"PGDATABASE": "live"}, seconds=60)
    assert live == {PROGRAM}
    words = (tmp_path / "words").read_text()
    assert words.startswith("live --schema-only --format=custom")


def test_a_live_database_that_can_not_be_read_is_the_servers_fault(tmp_path: Path) -> None:
    taker = program(tmp_path, "echo connection refused >&2; exit 1")
    with pytest.raises(DatabaseServerError, match="connection refused"):
        read_programs(taker, environment={}, seconds=60)


def test_programs_must_be_those_of_the_live_database() -> None:
    dump = Dump((PROGRAM,))
    other = Program("view", "public.v", "CREATE VIEW public.v AS SELECT 2;")
    assert check_programs(dump, {PROGRAM, other}, allow_unknown=False) == ()
    assert check_programs(dump, {other}, allow_unknown=True) == ()
    for live in (set[Program](), {other}):
        with pytest.raises(UnknownSchemaError, match=r"has the view public\.v, which"):
            check_programs(dump, live, allow_unknown=False)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW public.v AS SELECT 1;",
        "CREATE EXTENSION citext; ALTER DATABASE live RENAME TO dead",
        "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public; DROP TABLE x;",
    ],
)
def test_what_can_not_be_compared_does_not_run(sql: str) -> None:
    dump = Dump((Program("extension", "x", sql),))
    with pytest.raises(UnknownSchemaError, match="not known whether"):
        check_programs(dump, None, allow_unknown=False)
    assert check_programs(dump, None, allow_unknown=True) == ()


EXTENSION = "CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA public;"


def test_what_runs_nothing_is_a_warning_if_it_can_not_be_compared() -> None:
    programs = [Program("clause", "public.t: ON DELETE CASCADE", "ALTER TABLE …")]
    programs += [
        Program("extension", each, EXTENSION.format(each)) for each in ("a", '"uuid-ossp"')
    ]
    (warning,) = check_programs(Dump(tuple(programs)), None, allow_unknown=False)
    assert "clause public.t: ON DELETE CASCADE, extension a, extension" in warning


def test_a_sentence_names_ten_programs_at_most() -> None:
    many = tuple(Program("extension", f"v{each}", EXTENSION.format("x")) for each in range(12))
    (warning,) = check_programs(Dump(many), None, allow_unknown=False)
    assert "extension v9 and 2 more. It" in warning


def test_a_live_database_with_something_odd_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "live"
    path.write_bytes(archive(VIEW, Line("TABLE", sql="DROP TABLE x"), settings=()))
    taker = program(tmp_path, f"cat {path}")
    assert read_programs(taker, environment={}, seconds=60) == {PROGRAM}
