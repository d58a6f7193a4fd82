"""What each kind of column takes, what it refuses and why, and how it is written."""

from typing import Any

import pytest

from backups.site.move.forms import (
    NULL,
    AnyBinary,
    AnyText,
    Binary,
    Form,
    Padded,
    Text,
    Unfit,
    escape,
    unescape,
)
from backups.site.move.number_forms import Boolean, Exact, Float, Integer, Number
from backups.site.move.other_forms import Address, Json, Uuid, meaning
from backups.site.move.time_forms import Date, Duration, Local, Moment, Time

UTC, BERLIN = Moment("UTC"), Moment("Europe/Berlin")
UNDECODED = b"\xff".decode("utf-8", "surrogateescape")

FIT: list[tuple[Form, Any, str]] = [
    (Boolean(), 1, "t"),
    (Boolean(), 0.0, "f"),
    (Integer(2), -32768, "-32768"),
    (Integer(4), 5.0, "5"),
    (Integer(8), 2**63 - 1, "9223372036854775807"),
    (Exact(5, 2), 1.1, "1.10"),
    (Exact(5, 2), 3.3000000000000003, "3.30"),
    (Exact(5, 2), 7, "7.00"),
    (Exact(5, 2), "-0.001", "0.00"),
    (Exact(5, 2), "999.99", "999.99"),
    (Exact(5, 2), "NaN", "NaN"),
    (Number(), 1e22, "10000000000000000000000"),
    (Float(8), 1, "1.0"),
    (Float(8), float("-inf"), "-inf"),
    (Text(2), "ää", "ää"),
    (Text(), "a\tb\\\r\n", "a\\tb\\\\\\r\\n"),
    (Text(), "\\N", "\\\\N"),
    (AnyText(), 12, "12"),
    (Binary(), b"\x00\xff", "\\\\x00ff"),
    (AnyBinary(), "é", "\\\\xc3a9"),
    (Date(), "2024-02-29", "2024-02-29"),
    (Date(), "2024-2-9", "2024-02-09"),
    (Time(), "12:30:00.500000", "12:30:00.5"),
    (Time(), "12:00:00+01:00", "12:00:00"),  # as Django reads it
    (Local(), "2024-01-01 12:00:00", "2024-01-01 12:00:00"),
    (UTC, "2024-01-01 12:00:00.120000", "2024-01-01 12:00:00.12"),
    (UTC, "2024-01-01T12:00:00+02:00", "2024-01-01 10:00:00"),
    (UTC, "2024-01-01", "2024-01-01 00:00:00"),
    (BERLIN, "2023-10-29 02:30:00", "2023-10-29 02:30:00"),
    (BERLIN, "2024-01-01 11:00:00Z", "2024-01-01 12:00:00"),
    (Duration(), -1, "-1 days 86399999999 microseconds"),
    (Uuid(), "0" * 31 + "a", "00000000-0000-0000-0000-00000000000a"),
    (Uuid(), "{" + "A" * 32 + "}", "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"),
    (Address(), "::FFFF:1.2.3.4", "::FFFF:1.2.3.4"),
    (Json(), '{"a": "\\\\u0000"}', '{"a": "\\\\\\\\u0000"}'),
    (Json(), '"\\ud83d\\ude00"', '"\\\\ud83d\\\\ude00"'),
]

UNFIT: list[tuple[Form, Any, str]] = [
    (Boolean(), 2, "is the number 2, neither 0 nor 1"),
    (Boolean(), "true", "is the text 'true', neither 0 nor 1"),
    (Integer(2), 32768, "is 32768, not between -32768 and 32767"),
    (Integer(4, 0), -1, "is -1, not between 0 and 2147483647"),
    (Integer(8), 1e19, "not between"),
    (Integer(4), 1.5, "is the number 1.5, not a whole number"),
    (Integer(4), "abc", "is the text 'abc', not a whole number"),
    (Integer(4), b"1", "is binary (1 bytes), not a whole number"),
    (Integer(4), float("inf"), "not a whole number"),
    (Exact(5, 2), 1000, "is 1000, which needs more than 5 digits, 2 of them after the point"),
    (Exact(5, 2), 999.999, "needs more than 5 digits"),
    (Exact(5, 2), "abc", "is the text 'abc', not a decimal number"),
    (Exact(5, 2), "1_0", "is the text '1_0', not a decimal number"),
    (Exact(5, 2), "١٢", "not a decimal number"),
    (Exact(5, 2), float("inf"), "is infinite"),
    (Exact(5, 2), b"1", "not a decimal number"),
    (Number(), "1e200000", "too large or with too many digits"),
    (Float(8), "abc", "is the text 'abc', not a number"),
    (Float(8), 2**53 + 1, "a whole number that a float can't hold"),
    (Float(4), 1e300, "too large for a real number of 4 bytes"),
    (Text(2), "abc", "has 3 letters, and at most 2 fit"),
    (Text(2), "a  ", "has 3 letters, and at most 2 fit"),
    (Text(), "a\0", "has a NUL character"),
    (Text(), UNDECODED, "is not UTF-8"),
    (Text(), b"abc", "is binary (3 bytes), not text"),
    (Text(), 5, "is the number 5, not text"),
    (Binary(), "abc", "is the text 'abc', not binary"),
    (Date(), "2024-02-30", "is the text '2024-02-30', not a date"),
    (Date(), "2024-01-01 12:00:00", "not a date"),
    (Date(), 20240101, "is the number 20240101, not a date"),
    (Time(), "25:00", "not a time of day"),
    (Time(), "24:01", "not a time of day"),
    (Local(), "2024-01-01 12:00+01:00", "which has a time zone"),
    (UTC, "never", "is the text 'never', not a date with a time"),
    (UTC, 1700000000, "not a date with a time"),
    (UTC, "0001-01-01 00:00:00+02:00", "at the end of the calendar"),
    (BERLIN, "2024-03-31 02:30:00", "a time that the clocks skipped in Europe/Berlin"),
    (Duration(), 1.5, "not a duration in microseconds"),
    (Uuid(), "xyz", "is the text 'xyz', not a UUID"),
    (Uuid(), 5, "not a UUID"),
    (Address(), "1.2.3", "not a network address"),
    (Address(), "", "not a network address"),
    (Json(), "{", "not JSON that can be read"),
    (Json(), '{"a\\u0000": 1}', "has a NUL character (\\u0000) in its JSON"),
    (Json(), '"\\\\\\u0000"', "has a NUL character (\\u0000) in its JSON"),
    (Json(), '"\\ud800"', "has half of a surrogate pair in its JSON"),
    (Json(), "[NaN]", "has NaN in its JSON"),
    (Json(), "1e200000", "too large or with too many digits"),
    (Json(), "[" * 100_000, "not JSON that can be read"),
    (Json(), '"a\0"', "has a NUL character"),
]


@pytest.mark.parametrize(("form", "value", "written"), FIT)
def test_what_fits_is_written_as_postgresql_writes_it(form: Form, value: Any, written: str) -> None:
    assert form.write(value) == written
    assert form.write_all([value, None, value]) == [written, NULL, written]


@pytest.mark.parametrize(("form", "value", "why"), UNFIT)
def test_what_does_not_fit_is_refused_with_the_reason(form: Form, value: Any, why: str) -> None:
    with pytest.raises(Unfit) as raised:
        form.write(value)
    assert why in str(raised.value)
    with pytest.raises(Unfit):
        form.write_all([None, value])


def test_many_values_are_written_as_one_is() -> None:
    for form, values in (
        (Integer(4), [1, -5, 0]),
        (Text(3), ["abc", "", "é"]),
        (Text(3), ["abc", None, "\\"]),
        (Integer(4), [1, None]),
    ):
        expected = [NULL if value is None else form.write(value) for value in values]
        assert form.write_all(values) == expected


def test_value_that_comes_back_is_told_by_what_was_sent() -> None:
    assert Duration().proof(Duration().write(-90_000_000_001)) == "-90000000001"
    assert Float(8).proof("-0.0") != Float(8).proof("0.0")
    assert Padded(5).proof("ab") == Padded(5).read("ab   ")
    assert Address().proof("::FFFF:1.2.3.4") == Address().read("::ffff:1.2.3.4")
    json = Json()
    assert json.proof(json.write('{"b": 1.50, "a": [1e2, -0.0]}')) == json.read(
        '{"a": [100, 0.0], "b": 1.50}'
    )
    assert json.proof(json.write('{"a": 1}')) != json.read('{"a": "1"}')
    assert meaning('"\\u00e9"') == meaning('"é"')


def test_escaped_text_comes_back() -> None:
    text = "".join(map(chr, range(1, 300))) + "\\N\\."
    assert unescape(escape(text)) == text
    assert not set("\b\t\n\v\f\r") & set(escape(text))


def test_decimals_that_the_column_has_no_room_for_are_counted() -> None:
    form = Exact(5, 2)
    form.write_all([1.005, 2.5, 3.3000000000000003, "1.239"])
    assert form.rounded == 2
