"""Secret keys: new ones, and the files that people name."""

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backups.archive.encryption import decrypt, encrypt, read_identities
from backups.archive.key_file import create_key_file
from backups.exceptions import DestinationError, IdentityError, StorageError

CONTENT = b"a snapshot " * 10_000


def run(command: str, folder: Path) -> str:
    return subprocess.run(
        ["bash", "-ec", command], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def read(content: bytes, key: Path) -> bytes:
    return b"".join(decrypt([content], key, "FILE"))


@pytest.mark.proof  # it needs the program age-keygen
def test_new_key_is_as_age_keygen_makes_them(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    public = create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run("age-keygen -y key.txt", tmp_path).strip() == public
    created, comment, secret = path.read_text().splitlines()
    assert re.fullmatch(r"# created: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert comment == f"# public key: {public}"
    assert secret.startswith("AGE-SECRET-KEY-1")


@pytest.mark.parametrize("other", ["file", "folder", "dangling link"])
def test_nothing_is_overwritten(tmp_path: Path, other: str) -> None:
    path = tmp_path / "key.txt"
    if other == "file":
        path.write_text("a key of before")
    elif other == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(DestinationError, match="already exists") as error:
        create_key_file(path)
    assert error.value.hint == "Choose another name with -o."
    assert list(tmp_path.iterdir()) == [path]
    assert other != "file" or path.read_text() == "a key of before"


@pytest.mark.proof  # it needs the program ssh-keygen
@pytest.mark.parametrize("kind", ["ed25519", "rsa -b 2048"])
def test_ssh_keys_do_too(tmp_path: Path, kind: str) -> None:
    run(f"ssh-keygen -q -t {kind} -N '' -f key", tmp_path)
    packed = b"".join(encrypt([CONTENT], [(tmp_path / "key.pub").read_text()]))
    assert read(packed, tmp_path / "key") == CONTENT


def test_each_of_several_keys_is_tried(tmp_path: Path) -> None:
    publics = [create_key_file(tmp_path / name) for name in ("one", "two")]
    both = tmp_path / "both"
    both.write_text("\n\n".join((tmp_path / name).read_text() for name in ("one", "two")))
    for public in publics:
        assert read(b"".join(encrypt([CONTENT], [public])), both) == CONTENT


@pytest.mark.proof  # it needs the programs age and ssh-keygen
@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        ("true", "can't be read: No such file or directory.", "--identity FILE"),
        ("mkdir key", "can't be read: Is a directory.", "--identity FILE"),
        ("echo > key", "There is no secret key in", "--identity FILE"),
        ("echo hello > key", "has a line that is not a secret key", "--identity FILE"),
        ("echo age1 > key", "has a line that is not a secret key", "--identity FILE"),
        ("head -c 99 /dev/urandom > key", "has a line that is not a secret key", "--identity FILE"),
        ("ssh-keygen -q -t ecdsa -N '' -f key", "can't be used to read", "ed25519 or rsa"),
        ("ssh-keygen -q -t ed25519 -N word -f key", "protected by a passphrase", "ssh-keygen -p"),
        (
            "ssh-keygen -q -t rsa -b 2048 -m PEM -N secret -f key",
            "protected by a pass",
            "ssh-keygen -p",
        ),
        ("age-keygen | age -r $(age-keygen -y k) > key", "protected by a pass", "age -d -o"),
        ("age-keygen | age -a -r $(age-keygen -y k) > key", "protected by a pass", "age -d -o"),
    ],
)
def test_file_that_is_no_usable_key_says_why(
    tmp_path: Path, make: str, message: str, hint: str
) -> None:
    run(f"age-keygen -o k; {make}", tmp_path)  # age asks for a passphrase on a terminal only
    with pytest.raises(IdentityError) as error:
        read_identities(tmp_path / "key")
    assert message in str(error.value)
    assert hint in error.value.hint


def test_storage_that_fails_in_the_middle_does_not_look_like_a_changed_file(
    tmp_path: Path,
) -> None:
    public = create_key_file(tmp_path / "key")
    packed = b"".join(encrypt([CONTENT], [public]))

    def failing() -> Iterator[bytes]:
        yield packed[:50_000]
        raise StorageError("The storage is gone.")

    with pytest.raises(StorageError, match="is gone"):
        list(decrypt(failing(), tmp_path / "key", "FILE"))


def test_machine_without_another_pipe_does_not_look_like_a_changed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = create_key_file(tmp_path / "key")
    packed = b"".join(encrypt([CONTENT], [public]))

    def refuse() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("os.pipe", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        read(packed, tmp_path / "key")
