"""What a server says is shown in one line, without anything that a terminal obeys."""

import json
import unicodedata

import pytest

from backups.client.server_words import (
    MOST_CHARACTERS,
    MOST_TEXTS,
    as_cause,
    code_in,
    hint_in,
    shown,
    shown_answer,
)
from backups.exceptions import printable

OBEYED = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0))),
    *"\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e",
    *"\u2060\u2066\u2067\u2068\u2069\ufeff\U000e0041",
]


@pytest.mark.parametrize("character", OBEYED, ids=lambda each: f"U+{ord(each):04X}")
def test_what_a_terminal_obeys_or_hides_is_written_out(character: str) -> None:
    line = shown(f"a{character}b")
    assert character == " " or character not in line
    assert line == line.strip()
    assert not {unicodedata.category(each) for each in line} & {"Cc", "Cf", "Zl", "Zp"}


@pytest.mark.parametrize(
    "text", ["Nothing was staged.", "schlüssel 名前 مفتاح", "👩\u200d💻", "نمی\u200cدانم", "'\"\\"]
)
def test_words_of_any_language_stay_as_they_are(text: str) -> None:
    assert shown(text) == text


def test_lines_become_one_and_none_is_without_end() -> None:
    assert shown("one\ntwo\r\n\tthree\v\ffour\u2028 ") == "one two  three  four"
    assert shown("/srv/my  site/tasks.db") == "/srv/my  site/tasks.db"
    line = shown("\x1b" * 10_000_000)
    assert (len(line), line[-1]) == (MOST_CHARACTERS, "…")
    assert shown("a" * MOST_CHARACTERS) == "a" * MOST_CHARACTERS


def test_odd_bytes_of_a_file_s_name_are_written_out_too() -> None:
    assert shown("a\udcffb") == "a\\udcffb"


def test_every_text_of_an_answer_is_made_fit() -> None:
    bad, good = "\x1b[2J\n", "\\x1b[2J"
    answer = {bad: [{"hint": bad, "size": 1, "kept": None}], "warnings": [bad] * 1000, "ok": True}
    assert shown_answer(answer) == {
        good: [{"hint": good, "size": 1, "kept": None}],
        "warnings": [*[good] * MOST_TEXTS, "… and 900 more"],
        "ok": True,
    }
    kept = [{"name": str(number)} for number in range(1000)]
    assert shown_answer(kept) == kept
    assert "\x1b" not in json.dumps(shown_answer(answer), ensure_ascii=False)


@pytest.mark.parametrize("code", ["damaged", "too_many_snapshots", "x" * 64])
def test_code_of_an_answer_is_a_word_for_programs(code: str) -> None:
    assert code_in({"code": code}) == code


@pytest.mark.parametrize(
    "code", [None, 7, "", "two words", "x" * 65, "\x1b", "né", ["damaged"], "a\n"]
)
def test_what_is_not_such_a_word_is_no_code(code: object) -> None:
    assert code_in({"code": code}) == ""
    assert code_in({}) == ""


def test_hint_of_an_answer_is_a_text_or_nothing() -> None:
    assert hint_in({"hint": "Wait."}) == "Wait."
    assert hint_in({"hint": {"Wait": "!"}}) == hint_in({}) == ""


def test_error_that_quotes_a_server_is_not_shown_with_ours() -> None:
    error = OSError("in front of it")
    error.__context__ = ValueError("\x1b[2J")
    assert as_cause(error) is None
    plain = ConnectionResetError(104, "Connection reset by peer")
    assert as_cause(plain) is plain


def test_message_of_an_error_keeps_its_lines_and_nothing_that_a_terminal_obeys() -> None:
    assert printable("one\n\ttwo \x1b[31m\u202e\x9b") == "one\n\ttwo \\x1b[31m\\u202e\\x9b"
