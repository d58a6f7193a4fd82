"""With zstd's own program, both ways."""

import hashlib
import random
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from backups.archive.encryption import make_pair
from backups.archive.packing import Packed
from backups.archive.unpacking import checked, unpack
from backups.exceptions import DamagedSnapshotError, IdentityError, WrongLengthError

NAME = "taskdog-backup-20261126-030000.db.zst"
# As a database has it: what packs well, and what does not.
PLAIN = bytes(2_000_000) + random.Random(1).randbytes(1_000_000) + b"a row\n" * 100_000


def chunks(content: bytes = PLAIN) -> Iterator[bytes]:
    for start in range(0, len(content), 300_000):
        yield content[start : start + 300_000]


def packed(content: bytes = PLAIN, *recipients: str, level: int = 3) -> Packed:
    return Packed(chunks(content), len(content), level=level, recipients=recipients)


def unpacked(content: Iterable[bytes], identity: Path | None = None) -> bytes:
    return b"".join(unpack(content, NAME, identity_file=identity))


def zstd(*arguments: str, given: bytes) -> bytes:
    return subprocess.run(
        ["zstd", "-q", *arguments], input=given, capture_output=True, check=True, timeout=60
    ).stdout


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.proof  # it needs the program zstd
@pytest.mark.parametrize("level", [1, 3, 22])
@pytest.mark.parametrize("content", [b"", b"a", PLAIN], ids=["none", "one", "many"])
def test_zstds_own_program_reads_ours(content: bytes, level: int) -> None:
    stored = b"".join(packed(content, level=level))
    zstd("-t", "--ultra", given=stored)
    assert zstd("-d", "--ultra", "--memory=2048MB", given=stored) == content
    assert unpacked([stored]) == content


@pytest.mark.proof  # it needs the program zstd
def test_its_length_is_in_its_header(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"".join(packed()))
    command = ["zstd", "-l", "-v", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert f"({len(PLAIN)} B)" in said
    assert "XXH64" in said


@pytest.mark.proof  # it needs the program zstd
def test_we_read_what_zstd_makes() -> None:
    assert unpacked(chunks(zstd("-19", given=PLAIN))) == PLAIN
    two = zstd("-1", given=PLAIN[:1000]) + zstd("--no-check", given=PLAIN[1000:])
    assert unpacked([two]) == PLAIN


def test_a_plain_file_and_gzip_are_read_too() -> None:
    assert unpacked(chunks()) == PLAIN
    gzip = subprocess.run(["gzip"], input=PLAIN, capture_output=True, check=True, timeout=60).stdout
    assert unpacked(chunks(gzip)) == PLAIN
    assert unpacked([]) == b""


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_both_sides_are_counted_and_hashed(tmp_path: Path, is_encrypted: bool) -> None:
    secret, public = make_pair()
    path = tmp_path / "key"
    path.write_text(secret)
    one = packed(PLAIN, *[public] * is_encrypted)
    stored = b"".join(one)
    assert (one.size, one.sha256) == (len(stored), sha256(stored))
    assert (one.database_size, one.database_sha256) == (len(PLAIN), sha256(PLAIN))
    assert unpacked(chunks(stored), path) == PLAIN
    if is_encrypted:
        with pytest.raises(IdentityError):
            unpacked([stored])


def test_chunks_stay_small() -> None:
    content = random.Random(2).randbytes(32_000_000)
    assert max(map(len, packed(content))) < 12_000_000  # some pieces of zstd's


def test_a_snapshot_that_breaks_off_breaks_the_packing_off() -> None:
    def breaks_off() -> Iterator[bytes]:
        yield PLAIN
        raise WrongLengthError("the snapshot broke off")

    for recipients in ((), (make_pair()[1],)):
        one = Packed(breaks_off(), 2 * len(PLAIN), level=3, recipients=recipients)
        with pytest.raises(WrongLengthError, match="the snapshot broke off"):
            list(one)


@pytest.mark.parametrize("length", [-1, -5, 1_000_000, 10])
def test_what_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(WrongLengthError):
        unpacked([b"".join(packed())[:length]])


def test_a_flipped_bit_is_refused() -> None:
    stored = bytearray(b"".join(packed()))
    stored[500_000] ^= 1
    with pytest.raises(DamagedSnapshotError):
        unpacked([bytes(stored)])


def test_what_passes_is_compared_at_its_end() -> None:
    def check(content: bytes, size: int, digest: str) -> bytes:
        return b"".join(checked([content], NAME, size=size, sha256=digest, what="the stored file"))

    assert check(b"abc", 3, sha256(b"abc")) == b"abc"
    with pytest.raises(WrongLengthError, match=r"the stored file has 3 bytes, and had 1,234 when"):
        check(b"abc", 1234, sha256(b"abc"))
    with pytest.raises(DamagedSnapshotError, match="the SHA-256 of the stored file is not the one"):
        check(b"abc", 3, sha256(b"abd"))
