"""
A key's form, by which scanners find a leaked one: ``<site>_key_<43 characters><6 of checksum>``.

Secret scanners look for a pattern such as ``[a-z0-9]+_key_[0-9A-Za-z]{49}``, and tell a key from
other text by its checksum. The site itself compares hashes and ignores the form, so keys of an
older form still work.

Source: https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
"""

import re
import secrets
import string
import zlib

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 43  # of 62 characters: 256 random bits
CHECKSUM_LENGTH = 6  # enough for any CRC-32
PATTERN = re.compile(rf"([a-z0-9]+)_key_([0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}})")


def make(site: str) -> str:
    """Make a new key. It begins with the letters and digits of the site's name, in lower case."""
    prefix = re.sub("[^a-z0-9]", "", site.lower()) or "backups"
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return f"{prefix}_key_{random}{_checksum(random)}"


def is_whole(text: str) -> bool:
    """Whether a text has the form of a key and a correct checksum: not mistyped, not cut off."""
    match = PATTERN.fullmatch(text)
    return match is not None and match[2][RANDOM_LENGTH:] == _checksum(match[2][:RANDOM_LENGTH])


def _checksum(random: str) -> str:
    rest, digits = zlib.crc32(random.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
