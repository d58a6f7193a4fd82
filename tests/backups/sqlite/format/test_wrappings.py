"""What people bring that is no SQLite database, made by the tools that make it where they are."""

import base64
import bz2
import io
import lzma
import random
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from backups.exceptions import NotADatabaseError, OtherKindError
from backups.sqlite.format.file_length import check_header
from backups.sqlite.format.wrappings import recognise
from tests.backups import builders
from tests.standard_sqlite import dump


def database(folder: Path) -> bytes:
    return builders.healthy(folder / "original.db", "one", "two").read_bytes()


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("db.sqlite3", content)
    return packed.getvalue()


def tarred(content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("db.sqlite3")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def dumped(path: Path) -> bytes:
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(dump(connection)).encode()


def scrambled(content: bytes) -> bytes:
    return random.Random(7).randbytes(len(content))


def test_each_wrapping_is_named_with_its_command(tmp_path: Path) -> None:
    content = database(tmp_path)
    sql = dumped(tmp_path / "original.db")
    cases = [
        (zipped(content), "a zip archive", "unzip FILE"),
        (lzma.compress(content), "compressed by xz", "unxz < FILE > restored.db"),
        (bz2.compress(content), "compressed by bzip2", "bunzip2 < FILE > restored.db"),
        (tarred(content), "a tar archive", "tar -xf FILE"),
        (b"7z\xbc\xaf\x27\x1c" + content, "a 7z archive", "7z x FILE"),
        (base64.encodebytes(content), "in base64", "base64 -d FILE"),
        (sql, "SQL text", "sqlite3 restored.db < FILE"),
        (b"PRAGMA foreign_keys=OFF;\n" + sql, "SQL text", "sqlite3"),
        (b"--\n-- PostgreSQL database dump\n--\n\n" + sql, "SQL text of a Postgre", "can't run it"),
        (b"PGDMP\x01\x0e" + bytes(200), "This is a dump of a PostgreSQL database", "the last one"),
        (sql.decode().encode("utf-16"), "SQL text in UTF-16", "iconv -f utf-16"),
        (b'[{"model": "auth.user", "pk": 1}]' + bytes(100), "dumpdata", "loaddata FILE"),
        (b"age-encryption.org/v1\n-> X25519 x" + content, "encrypted by age", "age --decrypt"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl", "encrypted by age", "age --decrypt"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQ", "encrypted by GnuPG", "--decrypt FILE"),
        (b"\x85\x02\x0c\x03" + bytes(200), "encrypted by GnuPG", "--decrypt FILE"),
        (b"Salted__" + bytes(200), "encrypted by openssl", "openssl enc -d"),
        (scrambled(content + bytes(4096)), "probably encrypted", "sqlcipher"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page", "again"),
        (b"\x37\x7f\x06\x82" + bytes(200), "the -wal of a database", "the database itself"),
    ]
    for wrapped, what, command in cases:
        path = tmp_path / "upload"
        path.write_bytes(wrapped)
        with path.open("rb") as file, pytest.raises((NotADatabaseError, OtherKindError)) as error:
            check_header(file.fileno())
        assert what in str(error.value)
        assert command in error.value.hint
        assert "Nothing was staged" in error.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n" + bytes(5000),
        "Liebe Grüße\n".encode() * 500,
        bytes(9000),
    ],
)
def test_what_is_none_of_them_is_given_no_name(content: bytes) -> None:
    assert recognise(content[:4096]) is None
