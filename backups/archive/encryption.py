"""
Encrypt stored snapshots to public keys, so that the site can write what it can't read.

The format is age's (https://age-encryption.org/v1), so that its own program reads it too. Public
keys (*recipients*) begin with ``age1`` or ``ssh-``; the secret half is an *identity*.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from backups.archive.piped import ChunkReader, through
from backups.exceptions import (
    BackupError,
    DamagedSnapshotError,
    IdentityError,
    MissingPackageError,
    RecipientError,
    WrongLengthError,
)

# How an encrypted file begins: as age writes it, and as text (age --armor).
MAGIC = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
HEADER_END = b"\n--- "
MOST_HEADER_BYTES = 256 * 1024  # for a thousand keys
SECRET = "AGE-SECRET-KEY-"  # noqa: S105  # how an identity begins
LOCKED_SSH = ("must be decrypted first", "EncryptedPem")  # in pyrage's errors, for an SSH key


def encrypt(chunks: Iterable[bytes], recipients: Iterable[str]) -> Iterator[bytes]:
    """
    The chunks, encrypted. The secret half of any of these keys can decrypt them.

    :raises RecipientError: one is not a public key. Nothing was read.
    :raises MissingPackageError: the extra ``age`` is not installed.
    """
    keys = list(map(read_recipient, recipients))
    return through(lambda reader, writer: _pyrage().encrypt_io(reader, writer, keys), chunks)


def decrypt(chunks: Iterable[bytes], identity_file: Path | None, name: str) -> Iterator[bytes]:
    """
    The chunks, decrypted. Believe them only once all have come: an error can follow.

    :param identity_file: the file with the secret keys; None if no file was named.
    :param name: of the encrypted file, for messages.
    :raises IdentityError: there is no key, or none that fits.
    :raises DamagedSnapshotError: it was changed.
    :raises WrongLengthError: it is cut off.
    """
    if identity_file is None:
        raise IdentityError(f"{name} is encrypted, and no secret key was named to read it with.")
    identities = read_identities(identity_file)
    pyrage = _pyrage()

    def convert(reader: ChunkReader, writer: FileIO) -> None:
        # Errors are told apart here: outside, an OSError can be the machine's own.
        try:
            pyrage.decrypt_io(reader, writer, identities)
        except (pyrage.DecryptError, OSError) as error:
            raise _explain(error, name, identity_file) from error

    yield from through(convert, _with_short_header(chunks, name))


def _with_short_header(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """
    The chunks. The package keeps all of a header in memory, and begins it anew with each read.

    :raises DamagedSnapshotError: the header has no end.
    """
    rest, head = iter(chunks), b""
    for chunk in rest:
        head += chunk
        if len(head) >= MOST_HEADER_BYTES or HEADER_END in _plain(head):
            break
    if len(head) >= MOST_HEADER_BYTES and HEADER_END not in _plain(head):
        raise DamagedSnapshotError(f"{name} can't be decrypted: its header is too long.")
    yield head
    yield from rest


def _plain(head: bytes) -> bytes:
    """The first bytes, also of a file that age has written as text."""
    if not head.startswith(MAGIC[1]):
        return head
    letters = re.sub(rb"[^A-Za-z0-9+/]", b"", head.partition(b"\n")[2])
    return base64.b64decode(letters[: len(letters) // 4 * 4])


def _explain(error: Exception, name: str, identity_file: Path) -> BackupError:
    if isinstance(error, OSError):
        return WrongLengthError(
            f"{name} can't be decrypted to its end: it is cut off, or was changed ({error})."
        )
    if "No matching keys" in str(error):
        return IdentityError(
            f"No secret key in {identity_file} fits {name}: it was encrypted to other keys.",
            hint="Name the secret key of a recipient that BACKUPS_RECIPIENTS had when it was"
            " stored. Without such a key nobody can read this snapshot.",
        )
    return DamagedSnapshotError(f"{name} can't be decrypted: {error}.")


def read_recipient(words: str) -> Any:
    """
    A public key: ``age1…``, or an SSH key.

    :raises RecipientError: it is not a public key.
    """
    pyrage = _pyrage()
    kind = pyrage.ssh if words.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(words.strip())
    except pyrage.RecipientError as error:
        if words.strip().startswith(SECRET):
            raise RecipientError(
                "BACKUPS_RECIPIENTS has a secret key. Only public keys belong there.",
                hint="Put its public half there (age1…), and remove the secret key.",
            ) from error
        raise RecipientError(
            f"{words!r} in BACKUPS_RECIPIENTS is not a public key: {error}."
        ) from error


def read_identities(path: Path) -> list[Any]:
    """
    The secret keys in a file: one a line, as ``age-keygen`` writes them, or an SSH key.

    :raises IdentityError: it can't be read, or has none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IdentityError(f"The secret key {path} can't be read: {error.strerror}.") from error
    if content.startswith(MAGIC):  # it was encrypted by age --passphrase
        raise _locked(path, f"age -d -o UNLOCKED {path}")
    if b"PRIVATE KEY-----" in content:
        return [_read_ssh(path, content)]
    pyrage = _pyrage()
    try:
        lines = map(str.strip, content.decode().splitlines())
        found = [
            pyrage.x25519.Identity.from_str(line)
            for line in lines
            if line and not line.startswith("#")
        ]
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        raise IdentityError(f"{path} has a line that is not a secret key: {error}.") from error
    if not found:
        raise IdentityError(f"There is no secret key in {path}.")
    return found


def _read_ssh(path: Path, content: bytes) -> Any:
    pyrage = _pyrage()
    try:
        return pyrage.ssh.Identity.from_buffer(content)
    except pyrage.IdentityError as error:
        if any(words in str(error) for words in LOCKED_SSH):
            raise _locked(path, "ssh-keygen -p -N '' -f COPY") from error
        raise IdentityError(
            f"The SSH key {path} can't be used to read snapshots: {error}.",
            hint="Use an SSH key of the kind ed25519 or rsa.",
        ) from error


def _locked(path: Path, command: str) -> IdentityError:
    return IdentityError(
        f"The secret key {path} is protected by a passphrase, which is not supported.",
        hint=f"Name an unlocked copy, and remove the copy afterwards. To unlock it: {command}",
    )


def make_pair() -> tuple[str, str]:
    """A new secret key, and its public half."""
    identity = _pyrage().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise MissingPackageError(
            "Encryption needs the package pyrage.",
            hint="Install it: pip install 'django-restorable[age]'",
        ) from error
    return pyrage
