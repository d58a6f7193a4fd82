"""
Each attack is real: pg_restore runs it, as the site's role and in one transaction, and it harms a
database that the role owns. The check finds it before anything runs.
"""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from backups.exceptions import InvalidSnapshotError
from backups.postgres.dumps.dump import check_programs, read_dump
from tests.backups.postgres.dumps.archives import (
    ENCODING,
    LARGE_OBJECTS,
    SEARCH_PATH,
    SETTINGS,
    STRINGS,
    Line,
    archive,
)
from tests.postgres.dumps.tools import restore
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

TABLE = Line("TABLE", "t", "CREATE TABLE public.t (\n    a text\n);\n", access_method="heap")
ROWS = Line("TABLE DATA", "t", None, "COPY public.t (a) FROM stdin;\n", b"x\n", section="data")
FAILS = Line("TABLE", "f", "CREATE TABLE public.f (a nonsense);\n", access_method="heap")
# What PostgreSQL takes for a text and the end of a statement, and a simple reader for two texts.
TWO_TEXTS = "CREATE TABLE public.t (a text DEFAULT {}'\\', b text DEFAULT '); {}; --');\n"
FUNCTION = """CREATE FUNCTION public.{}(text DEFAULT 'x') RETURNS text LANGUAGE plpgsql {}
    AS $f$BEGIN {}; RETURN 'x'; END$f$;
"""


def function(name: str, sql: str, how: str = "") -> Line:
    return Line("FUNCTION", f"{name}()", FUNCTION.format(name, how, sql))


def with_setting(kind: str, sql: str) -> tuple[Line, ...]:
    return tuple(replace(each, sql=sql) if each.kind == kind else each for each in SETTINGS)


# The entries, from the statement that does the harm; and what comes before them, if it is odd.
ATTACKS: dict[str, Callable[[str], tuple[Line, ...]]] = {
    "a table's text": lambda sql: (replace(TABLE, sql=f"{sql};\n"),),
    "behind a table": lambda sql: (replace(TABLE, sql=f"{TABLE.sql}{sql};\n"),),
    "behind COMMIT, so that nothing takes it back": lambda sql: (
        replace(TABLE, sql=f"COMMIT; {sql};\n"),
        FAILS,
    ),
    "before the rows": lambda sql: (TABLE, replace(ROWS, copy=f"{sql};\n{ROWS.copy}")),
    "instead of rows": lambda sql: (TABLE, replace(ROWS, copy=None, data=f"{sql};\n".encode())),
    "instead of large objects": lambda sql: (
        Line("BLOBS", "BLOBS", data=f"{sql};\n".encode(), section="data"),
    ),
    "as a comment on large objects": lambda sql: (
        Line("BLOB COMMENTS", "BLOB COMMENTS", data=f"{sql};\n".encode(), section="data"),
    ),
    "where the script has a comment": lambda sql: (
        Line("TABLE\n/*", "t", f"{sql};\n"),
        Line("TABLE */ --", "t", TABLE.sql),
    ),
    "where the script has rows": lambda sql: (
        Line("TABLE\nCOPY public.t FROM stdin;\n--", "t", f"{sql};\n"),
        Line("TABLE\n\\.\n--", "t", TABLE.sql),
    ),
    "behind a comment in a comment": lambda sql: (
        replace(TABLE, sql=f"CREATE TABLE public.t (a /* /* */ */ text); {sql}; /* */\n"),
    ),
    "between texts side by side": lambda sql: (
        replace(TABLE, sql=TWO_TEXTS.format("E'x'\n", sql)),
    ),
    "in a function that a row calls": lambda sql: (
        function("f", sql),
        replace(TABLE, sql="CREATE TABLE public.t (a text, b text DEFAULT public.f());\n"),
        ROWS,
    ),
    "in a function that an index calls": lambda sql: (
        function("g", sql),
        function("f", "PERFORM public.g()", "IMMUTABLE"),
        TABLE,
        ROWS,
        Line("INDEX", "i", "CREATE INDEX i ON public.t USING btree (public.f(a));\n"),
    ),
    "in a function under a harmless name": lambda sql: (
        function("now", sql),
        replace(TABLE, sql='CREATE TABLE public.t (a text, b text DEFAULT public."now"());\n'),
        ROWS,
    ),
    "under the name of a view": lambda sql: (
        Line("VIEW", "v", f"CREATE VIEW public.v AS SELECT 1; {sql}"),
    ),
}
ODD_SETTINGS: dict[str, Callable[[str], tuple[tuple[Line, ...], tuple[Line, ...]]]] = {
    "how names are found": lambda sql: (
        with_setting("SEARCHPATH", f"{SEARCH_PATH}{sql};"),
        (TABLE,),
    ),
    "how texts are read": lambda sql: (
        with_setting("STDSTRINGS", STRINGS.replace("on", "off")),
        (replace(TABLE, sql=TWO_TEXTS.format("", sql)),),
    ),
}


class Site:
    """Two databases of one role: the live one, and one for what comes in."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.live, self.incoming = server.make_database(), server.make_database()
        self.path = folder / "dump"
        self.harm = f"ALTER DATABASE {self.live} RENAME TO {self.live}_gone"

    def is_whole(self) -> bool:
        rows = self.server.admin("SELECT datname FROM pg_database")
        return (self.live,) in rows

    def write(
        self,
        *lines: Line,
        settings: tuple[Line, ...] = SETTINGS,
        versions: tuple[str, str] = ("15.1", "15.1"),
    ) -> None:
        of_format = 14 if self.server.version < 17 else 16
        self.path.write_bytes(
            archive(*lines, settings=settings, version=of_format, versions=versions)
        )

    def check(self) -> None:
        reader = self.server.programs / "pg_restore"
        dump = read_dump(self.path, pg_restore=reader, seconds=60)
        check_programs(dump, frozenset(), allow_unknown=False)

    def restore(self) -> "subprocess.CompletedProcess[str]":
        return restore(self.server, self.incoming, self.path)


@pytest.fixture
def site(postgres: Server, tmp_path: Path) -> Site:
    return Site(postgres, tmp_path)


def assert_found_and_real(site: Site) -> None:
    with pytest.raises(InvalidSnapshotError):
        site.check()
    assert site.is_whole()
    child = site.restore()
    assert not site.is_whole(), child.stderr


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_found_and_would_do_harm(site: Site, attack: str) -> None:
    site.write(*ATTACKS[attack](site.harm))
    assert_found_and_real(site)


@pytest.mark.parametrize("attack", ODD_SETTINGS)
def test_an_odd_beginning_is_found_and_would_do_harm(site: Site, attack: str) -> None:
    settings, lines = ODD_SETTINGS[attack](site.harm)
    site.write(*lines, settings=settings)
    assert_found_and_real(site)


@pytest.mark.parametrize("which", [0, 1])
def test_a_version_in_the_head_is_not_taken_for_one(site: Site, which: int) -> None:
    """pg_restore sends both to the server, each in a comment that a line feed ends."""
    odd = f"15.1\n{site.harm};\n--"
    site.write(TABLE, versions=("15.1", odd) if which else (odd, "15.1"))
    assert_found_and_real(site)


@pytest.mark.postgres_version(18)
def test_the_name_of_a_large_object_is_sql_to_a_newer_pg_restore(site: Site) -> None:
    site.write(Line("BLOB METADATA", "1..2", f"1'); {site.harm}; SELECT ('\n"))
    assert_found_and_real(site)


def test_a_function_of_postgresql_itself_ends_a_session_of_the_live_database(site: Site) -> None:
    with psycopg.connect(site.server.url(site.live), autocommit=True) as worker:
        pid = worker.info.backend_pid
        table = f"CREATE TABLE public.t (a text, CHECK (pg_terminate_backend({pid})));\n"
        site.write(replace(TABLE, sql=table), ROWS)
        with pytest.raises(InvalidSnapshotError, match=r"expression public\.t"):
            site.check()
        worker.execute("SELECT 1")
        assert site.restore().returncode == 0
        with pytest.raises(psycopg.errors.AdminShutdown):
            worker.execute("SELECT 1")


@pytest.mark.parametrize(
    "kind",
    [
        *("ACL", "DEFAULT ACL", "SECURITY LABEL", "DATABASE", "DATABASE PROPERTIES"),
        *("PUBLICATION", "PUBLICATION TABLE", "SUBSCRIPTION", "COMMENT"),
    ],
)
def test_what_is_not_judged_does_not_run(site: Site, kind: str) -> None:
    name = "DATABASE live" if kind == "COMMENT" else "PUBLICATION x"
    site.write(TABLE, Line(kind, name, f"{site.harm};\n"), ROWS)
    site.check()
    child = site.restore()
    assert (child.returncode, child.stderr) == (0, "")
    assert site.is_whole()


def test_rows_are_never_run(site: Site) -> None:
    data = f"x\n\\.\n{site.harm};\nSELECT 1;\n\\connect {site.live}\n".encode()
    site.write(TABLE, replace(ROWS, data=data))
    site.check()
    site.restore()
    assert site.is_whole()


def test_rows_that_say_they_are_large_objects_harm_nothing(site: Site) -> None:
    site.write(TABLE, replace(ROWS, data=site.harm.encode(), block=LARGE_OBJECTS))
    site.check()
    site.restore()
    assert site.is_whole()


def test_a_name_can_not_end_a_statement(site: Site) -> None:
    odd = f'x"; {site.harm}; --'
    lines = (
        Line("SCHEMA", odd, "CREATE SCHEMA s;\n", None),
        replace(TABLE, name=odd, schema=odd),
        replace(ROWS, name=odd, schema=odd),
    )
    site.write(*lines)
    site.check()
    assert site.restore().returncode == 0
    assert site.is_whole()


def test_another_encoding_is_refused(site: Site) -> None:
    site.write(TABLE, settings=with_setting("ENCODING", ENCODING.replace("UTF8", "SJIS")))
    with pytest.raises(InvalidSnapshotError):
        site.check()
