"""What the plots draw: any number of values, whatever they are."""

from datetime import UTC, datetime, timedelta

import pytest

from backups.page.plots import BOTTOM, LEFT, RIGHT, TOP, Plot, Point, draw
from backups.templatetags.backups_page import SIZES, TIMES

FIRST = datetime(2026, 11, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)
MIDDLE = (LEFT + RIGHT) / 2


def plot(*values: float, days: list[float] | None = None) -> Plot:
    """Of these values, one a day, or on these days."""
    on = days if days is not None else range(len(values))
    points = [Point(FIRST + DAY * at, value) for at, value in zip(on, values, strict=True)]
    found = draw("sizes", "Size", points, SIZES)
    assert found is not None
    for x, y in places(found) + [(float(each.x), float(each.y)) for each in found.marks]:
        assert LEFT <= x <= RIGHT
        assert TOP <= y <= BOTTOM
    return found


def places(found: Plot) -> list[tuple[float, float]]:
    """The points of its lines."""
    pairs = [each.split(",") for line in found.lines for each in line.split()]
    return [(float(x), float(y)) for x, y in pairs]


def scale(found: Plot) -> list[str]:
    """The labels from bottom to top."""
    return [f"{each.words} {each.unit}" for each in found.values]


def test_of_nothing_there_is_no_plot() -> None:
    assert draw("sizes", "Size", [], SIZES) is None


@pytest.mark.parametrize("value", [0, 1, 12_300_000, 5e15])
def test_one_value_is_a_dot_in_the_middle(value: float) -> None:
    found = plot(value)
    assert found.lines == ()
    assert [float(each.x) for each in found.marks] == [MIDDLE]
    assert len(found.times) == 1
    assert found.summary.startswith("One value: ")


def test_two_values_are_a_line_from_edge_to_edge() -> None:
    found = plot(10e6, 20e6)
    (left, lower), (right, upper) = places(found)
    assert (left, right) == (LEFT, RIGHT)
    assert (lower, upper) == ((BOTTOM + TOP) / 2, TOP)
    assert scale(found) == ["0 MB", "5 MB", "10 MB", "15 MB", "20 MB"]
    assert [each.words for each in found.marks] == ["10 MB", "20 MB"]
    assert found.summary == "2 values from 10 MB to 20 MB; the newest is 20 MB."


def test_dates_are_spaced_by_time_and_sorted() -> None:
    found = plot(3, 1, 2, days=[10, 0, 1])
    xs = [x for x, _ in places(found)] or [float(each.x) for each in found.marks]
    assert xs == pytest.approx([LEFT, LEFT + (RIGHT - LEFT) / 10, RIGHT], abs=0.1)
    assert [each.words for each in found.marks] == ["1 B", "2 B", "3 B"]


def test_values_that_are_all_zero_or_all_the_same_are_drawn() -> None:
    assert {y for _, y in places(plot(0, 0, 0))} == {BOTTOM}
    assert scale(plot(0, 0, 0))[0] == "0.0 B"
    assert {y for _, y in places(plot(8e6, 8e6, 8e6))} == {TOP}


def test_several_at_the_same_moment_are_drawn() -> None:
    found = plot(1, 2, 3, days=[0, 0, 0])
    assert {x for x, _ in places(found)} <= {MIDDLE}


def test_a_long_pause_is_a_gap() -> None:
    found = plot(*[8e6] * 20, days=[*range(10), *range(30, 40)])
    assert len(found.lines) == len(found.areas) == 2
    assert found.lines[0].endswith(f"{LEFT + (RIGHT - LEFT) * 9 / 39:.1f},{TOP}.0")
    alone = plot(*[5e6] * 12, days=[*range(11), 60])
    assert len(alone.lines) == 1
    assert float(alone.marks[-1].x) == RIGHT


def test_a_weekly_rhythm_has_no_gaps() -> None:
    workdays = [day for day in range(100) if day % 7 < 5]
    assert len(plot(*[5e6] * len(workdays), days=[float(each) for each in workdays]).lines) == 1


def test_one_that_is_far_too_high_flattens_no_other() -> None:
    values = [10e6 + 1e5 * number for number in range(30)]
    found = plot(*values[:15], 9e9, *values[15:])
    assert scale(found)[-1] == "15 MB"
    (mark,) = found.beyond
    assert mark.words == "9 GB"
    assert LEFT < float(mark.x) < RIGHT
    assert len(places(found)) == 30
    few = plot(10e6, 9e9)
    assert few.beyond == ()
    five = plot(10e6, 11e6, 12e6, 9e9, 13e6)
    assert [each.words for each in five.beyond] == ["9 GB"]


def test_growth_is_no_outlier() -> None:
    assert plot(*[1e6 * 1.2**number for number in range(40)]).beyond == ()


def test_of_thousands_what_is_drawn_is_bounded_and_no_peak_is_lost() -> None:
    values = [10e6] * 5000
    values[1234], values[4321] = 15e6, 5e6
    found = plot(*values)
    assert len(places(found)) < 2 * (RIGHT - LEFT) + 2
    assert found.marks == ()
    heights = sorted({y for _, y in places(found)})
    third = (BOTTOM - TOP) / 3
    assert heights == pytest.approx([TOP, TOP + third, TOP + 2 * third], abs=0.1)
    assert found.summary == "5000 values from 5 MB to 15 MB; the newest is 10 MB."


@pytest.mark.parametrize(
    ("span", "precision", "count"),
    [(0.01, "minute", 2), (3, "minute", 2), (30, "day", 4), (800, "month", 4)],
)
def test_times_are_as_precise_as_it_takes(span: float, precision: str, count: int) -> None:
    found = plot(1, 2, days=[0, span])
    assert found.precision == precision
    assert len(found.times) == count
    assert (found.times[0].place, found.times[-1].place) == ("66.0", "350.0")
    assert (found.times[0].at, found.times[-1].at) == (FIRST, FIRST + DAY * span)


def test_durations_have_their_own_units() -> None:
    def labels(*values: float) -> list[str]:
        points = [Point(FIRST + DAY * at, value) for at, value in enumerate(values)]
        found = draw("seconds", "Time", points, TIMES)
        assert found is not None
        return scale(found)

    assert labels(0.3, 0.4) == ["0.0 s", "0.1 s", "0.2 s", "0.3 s", "0.4 s"]
    assert labels(30, 40) == ["0 s", "10 s", "20 s", "30 s", "40 s"]
    assert labels(100, 240) == ["0 min", "1 min", "2 min", "3 min", "4 min"]
    assert labels(8000) == ["0 h", "1 h", "2 h", "3 h"]
