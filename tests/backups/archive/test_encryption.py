"""With age's own program, both ways."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from backups.archive.encryption import (
    MOST_HEADER_BYTES,
    decrypt,
    encrypt,
    make_pair,
    read_identities,
)
from backups.exceptions import (
    DamagedSnapshotError,
    IdentityError,
    InvalidSnapshotError,
    RecipientError,
)

PLAIN = bytes(range(256)) * 1024  # four of age's blocks of 64 KiB
NAME = "taskdog-backup-20261126-030000.db.zst.age"


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, str]:
    return make_key(tmp_path / "key.txt")


def make_key(path: Path) -> tuple[Path, str]:
    secret, public = make_pair()
    path.write_text(f"# created: today\n# public key: {public}\n\n{secret}\n")
    return path, public


def encrypted(*recipients: str, content: bytes = PLAIN) -> bytes:
    return b"".join(encrypt([content[:1000], b"", content[1000:]], recipients))


def decrypted(chunks: Iterable[bytes], identity: Path | None) -> bytes:
    return b"".join(decrypt(chunks, identity, NAME))


def age(*arguments: str, given: bytes) -> bytes:
    return subprocess.run(
        ["age", *arguments], input=given, capture_output=True, check=True, timeout=30
    ).stdout


@pytest.mark.proof  # it needs the program age
@pytest.mark.parametrize("content", [b"", b"a", PLAIN])
def test_ages_own_program_reads_ours_and_we_read_its(key: tuple[Path, str], content: bytes) -> None:
    path, public = key
    assert age("-d", "-i", str(path), given=encrypted(public, content=content)) == content
    assert decrypted([age("-r", public, given=content)], path) == content
    assert decrypted([encrypted(public, content=content)], path) == content


@pytest.mark.proof  # it needs the program age
@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_what_age_has_written_as_text_is_read_in_pieces_of_any_size(
    key: tuple[Path, str], size: int
) -> None:
    path, public = key
    for content in (b"a", PLAIN[:10_000]):
        text = age("-a", "-r", public, given=content)
        for each in (text, text.replace(b"\n", b"\r\n")):
            chunks = (each[at : at + size] for at in range(0, len(each), size))
            assert decrypted(chunks, path) == content


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"age-encryption.org/v1\n-> X25519 ", b"A" * 64),
        (b"age-encryption.org/v1\n", b"-> X25519 abc\nAAAA\n"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"A" * 64 + b"\n"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"A" * 64),
    ],
)
def test_a_header_without_an_end_is_not_read_to_its_end(
    key: tuple[Path, str], first: bytes, more: bytes
) -> None:
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        yield first
        for _ in range(40):
            read += len(more) * 1000
            yield more * 1000

    with pytest.raises(DamagedSnapshotError):
        decrypted(chunks(), key[0])
    assert read < 2 * MOST_HEADER_BYTES


def test_a_header_may_have_many_keys(tmp_path: Path) -> None:
    path, public = make_key(tmp_path / "key.txt")
    others = [make_pair()[1] for _ in range(300)]
    packed = encrypted(*others, public)
    chunks = (packed[at : at + 1000] for at in range(0, len(packed), 1000))
    assert decrypted(chunks, path) == PLAIN


def test_each_of_many_recipients_can_read_it(tmp_path: Path) -> None:
    keys = [make_key(tmp_path / name) for name in ("one", "other")]
    packed = encrypted(*(public for _, public in keys))
    for path, _ in keys:
        assert decrypted([packed], path) == PLAIN


@pytest.mark.proof  # it needs the program ssh-keygen
def test_an_ssh_key_will_do(tmp_path: Path) -> None:
    path = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=30)
    public = path.with_suffix(".pub").read_text()
    packed = encrypted(public)
    assert decrypted([packed], path) == PLAIN
    assert age("-d", "-i", str(path), given=packed) == PLAIN


def test_a_wrong_key_is_told_from_a_damaged_file(key: tuple[Path, str], tmp_path: Path) -> None:
    other, _ = make_key(tmp_path / "other")
    with pytest.raises(IdentityError, match=f"No secret key in {other} fits {NAME}") as caught:
        decrypted([encrypted(key[1])], other)
    assert "BACKUPS_RECIPIENTS" in caught.value.hint


def test_without_a_key_it_says_so_before_anything_is_read() -> None:
    def source() -> Iterable[bytes]:
        yield b""
        raise AssertionError

    with pytest.raises(IdentityError, match="no secret key was named"):
        decrypted(source(), None)


@pytest.mark.parametrize("length", [-1, -16, 70_000, 200])
def test_what_is_cut_off_is_refused_at_its_end(key: tuple[Path, str], length: int) -> None:
    with pytest.raises(InvalidSnapshotError, match=f"{NAME} can't be decrypted"):
        decrypted([encrypted(key[1])[:length]], key[0])


@pytest.mark.parametrize("place", [60, 150, 5000, 100_000, -1])
def test_a_flipped_bit_is_refused(key: tuple[Path, str], place: int) -> None:
    packed = bytearray(encrypted(key[1]))
    packed[place] ^= 1
    with pytest.raises((InvalidSnapshotError, IdentityError)):
        decrypted([bytes(packed)], key[0])


def test_what_is_not_age_is_damaged(key: tuple[Path, str]) -> None:
    with pytest.raises(DamagedSnapshotError, match="can't be decrypted"):
        decrypted([b"age-encryption.org/v1\nnonsense\n"], key[0])


def test_a_source_that_fails_is_no_damage(key: tuple[Path, str]) -> None:
    packed = encrypted(key[1])

    def breaks_off() -> Iterable[bytes]:
        yield packed[:100_000]
        raise ConnectionError("the storage is gone")

    with pytest.raises(ConnectionError, match="the storage is gone"):
        decrypted(breaks_off(), key[0])


def test_a_secret_key_as_a_recipient_is_refused_and_not_repeated(key: tuple[Path, str]) -> None:
    secret, _ = make_pair()
    with pytest.raises(RecipientError, match="BACKUPS_RECIPIENTS has a secret key") as caught:
        encrypted(secret)
    assert secret not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


@pytest.mark.parametrize("words", ["", "nonsense", "age1", "ssh-ed25519 AAAA", "SSH-rsa x"])
def test_what_is_no_public_key_is_refused_before_anything_is_read(words: str) -> None:
    def source() -> Iterable[bytes]:
        yield b""
        raise AssertionError

    with pytest.raises(RecipientError, match="is not a public key"):
        list(encrypt(source(), [words]))


def test_a_key_file_that_has_none_is_named(tmp_path: Path, key: tuple[Path, str]) -> None:
    path = tmp_path / "file"
    with pytest.raises(IdentityError, match=f"{path} can't be read: No such file"):
        read_identities(path)
    with pytest.raises(IdentityError, match=f"{tmp_path} can't be read: Is a directory"):
        read_identities(tmp_path)
    path.write_text("# only a comment\n")
    with pytest.raises(IdentityError, match=f"There is no secret key in {path}"):
        read_identities(path)
    path.write_text(f"{key[1]}\n")
    with pytest.raises(IdentityError, match="a line that is not a secret key"):
        read_identities(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(IdentityError, match="a line that is not a secret key"):
        read_identities(path)
