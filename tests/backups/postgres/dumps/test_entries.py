"""What an entry would do is judged by all that pg_restore takes from it."""

import io
from dataclasses import replace

import pytest

from backups.exceptions import UnknownSchemaError
from backups.postgres.dumps.archive import read_archive
from backups.postgres.dumps.entries import judge
from backups.sqlite.format.schema import Program
from tests.backups.postgres.dumps.archives import LARGE_OBJECTS, SETTINGS, Line, archive

ATTACK = "ALTER DATABASE live RENAME TO dead;\n"
TABLE = Line("TABLE", "t", "CREATE TABLE public.t (\n    a text\n);\n", access_method="heap")
ROWS = Line("TABLE DATA", "t", None, "COPY public.t (a) FROM stdin;\n", b"x\n\\.\n\n\n")
FUNCTION = Line(
    "FUNCTION", "f()", "CREATE FUNCTION public.f() RETURNS integer\n    AS $$SELECT 1; $$;\n"
)


def judged(*lines: Line, settings: tuple[Line, ...] = SETTINGS) -> tuple[Program, ...]:
    _, entries = read_archive(io.BytesIO(archive(*lines, settings=settings)))
    return tuple(judge(entries))


def test_a_table_and_its_rows_are_no_program() -> None:
    assert judged(TABLE, ROWS) == ()


def test_the_whole_text_of_a_program_is_kept() -> None:
    assert judged(FUNCTION) == (Program("function", "public.f()", str(FUNCTION.sql).strip()),)
    range_type = Line("TYPE", "r", f"\nCREATE TYPE public.r AS RANGE (\n    a = b\n);\n{ATTACK}")
    assert judged(range_type) == (Program("type", "public.r", str(range_type.sql).strip()),)


@pytest.mark.parametrize(
    "line",
    [
        replace(TABLE, sql=ATTACK),
        replace(TABLE, sql=f"{TABLE.sql}{ATTACK}"),
        replace(TABLE, sql=f"{TABLE.sql}COPY public.t (a) FROM stdin;\n"),
        replace(TABLE, sql="CREATE TABLE public.t (a text DEFAULT $$;$$);"),
        replace(TABLE, sql="CREATE TABLE public.t (a text); /* ; */ COMMIT;"),
        replace(TABLE, access_method="own"),
        replace(TABLE, copy=ATTACK),
        replace(TABLE, data=ATTACK.encode()),  # runs it: there is no COPY before
        replace(TABLE, kind=f"TABLE\n{TABLE.sql}--"),
        replace(TABLE, kind="table"),
        replace(TABLE, kind="WARNING"),
        replace(ROWS, copy=ATTACK),
        replace(ROWS, copy=f"{ATTACK}{ROWS.copy}"),
        replace(ROWS, copy=f"{ROWS.copy}{ROWS.copy}"),
        replace(ROWS, copy="COPY public.t (a) FROM PROGRAM 'id';\n"),
        replace(ROWS, copy="-- nothing\n"),
        replace(ROWS, copy=None, data=ATTACK.encode()),  # as of pg_dump --inserts
        replace(ROWS, data=None),
        replace(ROWS, kind="TABLE"),
        replace(ROWS, sql=ATTACK),
        Line("STATISTICS DATA", "t", "SELECT * FROM pg_catalog.pg_restore_relation_stats('a');"),
        replace(FUNCTION, sql=ATTACK),
        replace(FUNCTION, kind="EXTENSION"),
        replace(FUNCTION, data=ATTACK.encode()),
        Line("COMMENT", "DATABASElive", "COMMENT ON DATABASE live IS 'x';\n"),
        Line("SCHEMA", "s", f"CREATE SCHEMA s;\n{ATTACK}"),
        Line("SEQUENCE SET", "s", f"SELECT pg_catalog.setval('public.s', 1, true);{ATTACK}"),
    ],
    ids=lambda line: f"{line.kind} {line.sql} {line.copy}",
)
def test_anything_else_is_refused(line: Line) -> None:
    with pytest.raises(UnknownSchemaError, match="a statement that no") as caught:
        judged(line)
    assert "nothing of the dump has run" in caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        replace(ROWS, kind="BLOBS", copy=None, data=ATTACK.encode()),  # runs it
        replace(ROWS, kind="BLOBS", copy=None, block=LARGE_OBJECTS),
        replace(ROWS, kind="BLOB COMMENTS", copy=None, data=ATTACK.encode()),
        Line("BLOB", "16400", "SELECT pg_catalog.lo_create('16400');\n"),
        Line("BLOB METADATA", "16400", f"16400'); {ATTACK}"),
    ],
    ids=lambda line: f"{line.kind} {line.sql}",
)
def test_large_objects_are_refused(line: Line) -> None:
    with pytest.raises(UnknownSchemaError, match="large objects"):
        judged(line)


@pytest.mark.parametrize("kind", ["ENCODING", "STDSTRINGS", "SEARCHPATH"])
def test_how_the_texts_are_read_is_said_once(kind: str) -> None:
    others = tuple(each for each in SETTINGS if each.kind != kind)
    (setting,) = (each for each in SETTINGS if each.kind == kind)
    for lines in (
        others,
        (*SETTINGS, setting),
        (*others, replace(setting, sql=f"{setting.sql}{ATTACK}")),
        (*others, replace(setting, sql=str(setting.sql).replace("UTF8", "SJIS") + " ")),
    ):
        with pytest.raises(UnknownSchemaError, match="does not begin with"):
            judged(settings=lines)


def test_what_pg_restore_leaves_out_is_not_judged() -> None:
    kinds = ("ACL", "DEFAULT ACL", "DATABASE", "DATABASE PROPERTIES", "PUBLICATION")
    lines = [Line(each, sql=ATTACK) for each in (*kinds, "PUBLICATION TABLE", "SUBSCRIPTION")]
    assert judged(*lines, Line("COMMENT", "DATABASE live", "COMMENT ON DATABASE x IS 'x'")) == ()


def test_the_message_has_the_first_words_only() -> None:
    with pytest.raises(UnknownSchemaError) as caught:
        judged(replace(TABLE, sql="DROP TABLE\n\n  public.t" + "x" * 1000))
    assert "in the entry TABLE t: DROP TABLE public.txxx" in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_long_name_does_not_fill_a_message() -> None:
    with pytest.raises(UnknownSchemaError) as caught:
        judged(Line("x" * 10_000, "y" * 10_000, "z" * 10_000))
    assert len(str(caught.value)) < 500


def test_the_watch_is_called_at_each_entry() -> None:
    _, entries = read_archive(io.BytesIO(archive(TABLE, ROWS)))
    calls: list[int] = []
    list(judge(entries, lambda: calls.append(1)))
    assert len(calls) == len(entries)
