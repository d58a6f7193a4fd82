import pytest

from backups.disk.sizes import size_in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "unknown size"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345, "12.3 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_234_567_890, "1,234.6 MB"),
    ],
)
def test_a_size_is_written_in_the_unit_that_shows_it(size: int | None, words: str) -> None:
    assert size_in_words(size) == words
