import re
import zlib

import pytest

from backups.keys import key_format


@pytest.mark.parametrize(
    ("site", "prefix"),
    [("taskdog", "taskdog"), ("My-Shop 2", "myshop2"), ("Ünïcode", "ncode"), ("", "backups")],
)
def test_key_says_which_site_it_opens(site: str, prefix: str) -> None:
    assert re.fullmatch(rf"{prefix}_key_[0-9A-Za-z]{{49}}", key_format.make(site))


def test_made_key_is_whole_and_any_other_character_breaks_it() -> None:
    key = key_format.make("taskdog")
    assert key_format.is_whole(key)
    for at in range(len("taskdog_key_"), len(key)):
        other = "x" if key[at] != "x" else "y"
        assert not key_format.is_whole(key[:at] + other + key[at + 1 :])


@pytest.mark.parametrize("text", ["", "taskdog_key_", "x" * 43, "taskdog_key_" + "0" * 48 + "\n"])
def test_what_has_not_the_form_is_not_whole(text: str) -> None:
    assert not key_format.is_whole(text)


def test_checksum_is_that_of_github_s_tokens() -> None:
    """CRC-32 in base 62, digits first, six of them: scanners can tell a key by themselves."""
    random = key_format.make("a").removeprefix("a_key_")[:43]
    number, text = zlib.crc32(random.encode()), ""
    for _ in range(6):
        number, digit = number // 62, number % 62
        text = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[digit] + text
    assert key_format.is_whole(f"a_key_{random}{text}")
