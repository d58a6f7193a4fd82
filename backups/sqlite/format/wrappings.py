"""
Recognise, by its first bytes, a file that is not a SQLite database: a wrapped one or another kind.

Nothing is unpacked here. Each wrapping has the command that unwraps it; FILE stands for the file.
"""

import re
from typing import NamedTuple

LOOK_BYTES = 4096  # of the file's beginning
SAMPLE_BYTES = 1024  # fewer are too few to tell whether they are random
RANDOM_BELOW = 400.0  # chi-square over the 256 byte values: 255 ± 23 if they are random


class Wrapping(NamedTuple):
    """What a file is, as the end of a sentence, and what to do next."""

    what: str
    remedy: str


def _unpack(what: str, command: str) -> Wrapping:
    return Wrapping(what, f"Unpack it first: {command}")


def _decrypt(what: str, command: str) -> Wrapping:
    return Wrapping(what, f"Decrypt it first: {command}")


AGE = _decrypt("encrypted by age", "age --decrypt -i KEY_FILE -o restored.db FILE")
GPG = _decrypt("encrypted by GnuPG", "gpg --output restored.db --decrypt FILE")
OPENSSL = _decrypt(
    "encrypted by openssl enc",
    "openssl enc -d -aes-256-cbc -pbkdf2 -in FILE -out restored.db"
    " (with the options that encrypted it)",
)
BASE64 = Wrapping("in base64", "Decode it first: base64 -d FILE > restored.db")
SQL = Wrapping("SQL text", "Make a database of it first: sqlite3 restored.db < FILE")
WIDE_SQL = Wrapping(
    "SQL text in UTF-16",
    "Make a database of it first: iconv -f utf-16 -t utf-8 FILE | sqlite3 restored.db",
)
FIXTURE = Wrapping(
    "JSON as dumpdata writes it", "It can't be restored, only loaded: manage.py loaddata FILE"
)
SIDECAR = "Send the database itself: the file with this name but without this ending"

BEGINNINGS = (
    (b"\x1f\x8b", _unpack("compressed by gzip", "gunzip < FILE > restored.db")),
    (b"\x28\xb5\x2f\xfd", _unpack("compressed by zstd", "unzstd < FILE > restored.db")),
    (b"\xfd7zXZ\x00", _unpack("compressed by xz", "unxz < FILE > restored.db")),
    (b"BZh", _unpack("compressed by bzip2", "bunzip2 < FILE > restored.db")),
    (b"\x04\x22\x4d\x18", _unpack("compressed by lz4", "unlz4 < FILE > restored.db")),
    (b"LZIP", _unpack("compressed by lzip", "lzip -d < FILE > restored.db")),
    (b"\x1f\x9d", _unpack("compressed by compress", "uncompress < FILE > restored.db")),
    (b"PK\x03\x04", _unpack("a zip archive", "unzip FILE")),
    (b"7z\xbc\xaf\x27\x1c", _unpack("a 7z archive", "7z x FILE")),
    (b"Rar!\x1a\x07", _unpack("a RAR archive", "unrar x FILE")),
    (b"age-encryption.org/", AGE),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", AGE),
    (b"-----BEGIN PGP MESSAGE-----", GPG),
    (b"\x8c\x0d\x04", GPG),
    (b"Salted__", OPENSSL),
    (b"U1FMaXRlIGZvcm1hdCAz", BASE64),
    (b"\x37\x7f\x06\x82", Wrapping("the -wal of a database", SIDECAR)),
    (b"\x37\x7f\x06\x83", Wrapping("the -wal of a database", SIDECAR)),
    (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", Wrapping("the -journal of a database", SIDECAR)),
)
ENCRYPTED = _decrypt(
    "probably encrypted, since its bytes look random",
    "if by SQLCipher, sqlcipher FILE \"PRAGMA key = '…'; ATTACH 'restored.db' AS plain KEY '';"
    " SELECT sqlcipher_export('plain');\"",
)
DUMP = b"PGDMP"  # what pg_dump --format=custom writes first
POSTGRES = Wrapping(
    "a dump of a PostgreSQL database",
    "Put it back on a site whose database is PostgreSQL, or send a SQLite snapshot: the last one"
    " from before the move to PostgreSQL, if there was one.",
)
POSTGRES_SQL = Wrapping(
    "SQL text of a PostgreSQL database", "SQLite can't run it. Send a SQLite snapshot."
)
PAGE = Wrapping("a web page", "Download the snapshot again: a server sent a web page instead.")


def recognise(head: bytes) -> Wrapping | None:
    """What a file that begins like this is, other than a SQLite database; None if unknown."""
    if head.startswith(DUMP):
        return POSTGRES
    for beginning, wrapping in BEGINNINGS:
        if head.startswith(beginning):
            return wrapping
    if head[257:262] == b"ustar":
        return _unpack("a tar archive", "tar -xf FILE")
    if head[:1] in (b"\x84", b"\x85") and 3 in head[2:4]:  # a packet with a session key, version 3
        return GPG
    return _recognise_text(head) or (ENCRYPTED if _is_random(head) else None)


def _recognise_text(head: bytes) -> Wrapping | None:
    is_wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))  # as PowerShell's > writes
    text = head.decode("utf-16" if is_wide else "utf-8", "replace").lstrip("\ufeff \t\r\n")
    if re.match(r"<(!doctype html|html)\b", text, re.IGNORECASE):
        return PAGE
    if "-- PostgreSQL database dump" in text:
        return POSTGRES_SQL
    if text.startswith("[") and '"model"' in text:
        return FIXTURE
    sql = r"(?im)^(PRAGMA foreign_keys|BEGIN( TRANSACTION)?;|CREATE TABLE\b|INSERT INTO\b)"
    if re.search(sql, text):
        return WIDE_SQL if is_wide else SQL
    return None


def _is_random(head: bytes) -> bool:
    if len(head) < SAMPLE_BYTES:
        return False
    expected = len(head) / 256
    counts = [head.count(byte) for byte in range(256)]
    return sum((count - expected) ** 2 / expected for count in counts) < RANDOM_BELOW
