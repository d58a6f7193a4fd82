"""The table of contents, read as pg_restore reads it, or not at all."""

import io

import pytest

from backups.exceptions import (
    BackupError,
    DamagedSnapshotError,
    NewerSnapshotError,
    NotADatabaseError,
)
from backups.postgres.dumps import archive as read
from backups.postgres.dumps.archive import is_dump, read_archive
from tests.backups.postgres.dumps.archives import Line, archive, number, text

TABLE = Line("TABLE", "t", "CREATE TABLE public.t (\n    ä text\n);\n", access_method="heap")
ROWS = Line("TABLE DATA", "t", "", "COPY public.t (ä) FROM stdin;\n", b"x\n\\.\n\n\n")


@pytest.mark.parametrize("version", [14, 15, 16])
def test_every_entry_is_read(version: int) -> None:
    whole = archive(TABLE, ROWS, version=version)
    assert is_dump(whole[:16])
    head, entries = read_archive(io.BytesIO(whole))
    assert (head.database, head.server_version) == ("of_the_dump", "15.3 (Debian)")
    assert [each.number for each in entries] == [1, 2, 3, 4, 5]
    table, rows = entries[-2:]
    assert (table.sql, table.has_data, table.access_method) == (TABLE.sql, False, "heap")
    assert (rows.kind, rows.copy, rows.has_data, rows.schema) == (
        "TABLE DATA", ROWS.copy, True, "public",
    )  # fmt: skip


def test_half_of_it_is_damaged_wherever_it_ends() -> None:
    whole = archive(TABLE)
    for length in range(len(whole)):
        with pytest.raises((DamagedSnapshotError, NotADatabaseError)):
            read_archive(io.BytesIO(whole[:length]))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda whole: b"SQLite format 3\0" + whole, NotADatabaseError),
        (lambda whole: whole[:6] + b"\x11" + whole[7:], NewerSnapshotError),  # 1.17
        (lambda whole: b"PGDMP\x02\x00" + whole[7:], NewerSnapshotError),
        (lambda whole: whole[:6] + b"\x0d" + whole[7:], NotADatabaseError),  # of pg_dump 11
        (lambda whole: whole[:8] + b"\x08" + whole[9:], NotADatabaseError),  # larger numbers
        (lambda whole: whole[:9] + b"\x04" + whole[10:], NotADatabaseError),
        (lambda whole: whole[:10] + b"\x03" + whole[11:], NotADatabaseError),  # a tar file
    ],
)
def test_another_format_is_refused(change, error: type[BackupError]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error):
        read_archive(io.BytesIO(change(archive(TABLE))))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (text("anybody"), text(b"any\0ody")),  # C reads it to the NUL
        (text("anybody"), text(b"any\xffody")),
        (text("anybody"), number(-7) + b"anybody"),  # pg_restore takes any below 0 for none
        (text("anybody"), b"\x02" + text("anybody")[1:]),  # and any sign for minus
        (text("anybody"), b"\0\xff\xff\xff\xff" + b"anybody"),
        (number(4) + number(0), number(0) + number(0)),  # the number of an entry
        (number(4) + number(0), number(2**30) + number(0)),
        (number(4) + number(0), number(4) + number(2)),
        (text("TABLE") + number(2), text("TABLE") + b"\2" + number(2)[1:]),
        (text(None) + b"\3" + bytes(8), text(None) + b"\0" + bytes(8)),
    ],
)
def test_what_no_pg_dump_writes_is_refused(old: bytes, new: bytes) -> None:
    whole = archive(TABLE)
    assert old in whole
    with pytest.raises(DamagedSnapshotError):
        read_archive(io.BytesIO(whole.replace(old, new)))


def test_a_count_or_a_text_that_would_fill_the_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = archive(TABLE)
    many = whole.replace(text("18.1") + number(4), text("18.1") + number(2_000_000))
    with pytest.raises(DamagedSnapshotError, match="2,000,000"):
        read_archive(io.BytesIO(many))
    monkeypatch.setattr(read, "MOST_TEXT", len(whole) - 1)
    with pytest.raises(DamagedSnapshotError, match="longer than any"):
        read_archive(io.BytesIO(whole))


@pytest.mark.parametrize("version", ["", "15\nDROP", "15\rDROP", "15\u2028", "x15", "1" * 300])
def test_a_version_is_one_line(version: str) -> None:
    for versions in ((version, "15"), ("15", version)):
        with pytest.raises(DamagedSnapshotError, match="version that is not one"):
            read_archive(io.BytesIO(archive(TABLE, versions=versions)))
