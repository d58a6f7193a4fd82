"""Which bytes of a stored file a request gets, by the tables of RFC 9110."""

import pytest

from backups.api.conditions import Part, part_of
from backups.exceptions import NotResumableError

SIZE = 1000
TAG = "0123456789abcdef"
MINE, OTHER, WEAK = f'"{TAG}"', '"another"', f'W/"{TAG}"'
WHOLE = Part(200, 0, 999)


def part(headers: dict[str, str], *, etag: str | None = TAG, size: int = SIZE) -> Part:
    return part_of(headers, size=size, etag=etag)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("bytes=0-", Part(206, 0, 999)),
        ("bytes=0-0", Part(206, 0, 0)),
        ("bytes=500-", Part(206, 500, 999)),
        ("bytes=500-599", Part(206, 500, 599)),
        ("BYTES = 500 - 599 ", Part(206, 500, 599)),
        ("bytes=999-", Part(206, 999, 999)),
        ("bytes=500-5000", Part(206, 500, 999)),
        ("bytes=-10", Part(206, 990, 999)),
        ("bytes=-5000", Part(206, 0, 999)),
        ("bytes=1000-", Part(416)),
        ("bytes=999999999999-", Part(416)),
        ("bytes=-0", Part(416)),
        # What may be ignored is: the whole comes.
        ("", WHOLE),
        ("bytes=", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=5-1", WHOLE),
        ("bytes=0-1,5-6", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=٣-", WHOLE),
        ("lines=0-1", WHOLE),
        (f"bytes={'9' * 40}-", WHOLE),
    ],
)
def test_range_gets_its_bytes(given: str, expected: Part) -> None:
    assert part({"Range": given}) == expected


def test_length_of_a_part_counts_both_ends() -> None:
    assert [each.length for each in (Part(206, 5, 5), WHOLE, Part(304), Part(416))] == [
        1,
        1000,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (MINE, Part(206, 5, 999)),
        (OTHER, WHOLE),
        (WEAK, WHOLE),  # a weak one does not promise the same bytes
        ("Thu, 26 Nov 2026 22:00:00 GMT", WHOLE),
    ],
)
def test_range_with_a_condition_gets_the_whole_where_that_is_false(
    condition: str, expected: Part
) -> None:
    assert part({"Range": "bytes=5-", "If-Range": condition}) == expected


@pytest.mark.parametrize("given", [MINE, WEAK, "*", f"{OTHER}, {WEAK}"])
def test_client_that_has_it_gets_nothing(given: str) -> None:
    assert part({"If-None-Match": given, "Range": "bytes=5-"}) == Part(304)


def test_client_that_has_another_one_gets_it() -> None:
    assert part({"If-None-Match": OTHER}) == WHOLE


@pytest.mark.parametrize("given", [OTHER, WEAK, TAG])
def test_what_must_be_another_file_is_refused(given: str) -> None:
    with pytest.raises(NotResumableError):
        part({"If-Match": given})


@pytest.mark.parametrize("given", [MINE, "*", f"{OTHER}, {MINE}"])
def test_what_must_be_this_file_is_sent(given: str) -> None:
    assert part({"If-Match": given, "Range": "bytes=5-"}) == Part(206, 5, 999)


def test_file_that_nobody_knows_is_sent_whole() -> None:
    assert part({"Range": "bytes=5-", "If-None-Match": "*"}, etag=None) == WHOLE
    with pytest.raises(NotResumableError):
        part({"If-Match": MINE}, etag=None)


def test_empty_file_has_no_range() -> None:
    assert part({"Range": "bytes=0-"}, size=0) == Part(416)
    assert part({"Range": "bytes=-5"}, size=0) == Part(416)
    assert part({}, size=0) == Part(200, 0, -1)
