"""
Plots as inline SVG: what to draw where, for the template ``plot.html``.

The dates are spaced by time. A value that would flatten all others is drawn at the upper edge, as a
triangle with its value. Where nothing was measured for long, the line has a gap.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from django.utils.formats import number_format
from django.utils.translation import gettext

from backups.templatetags.backups_page import in_unit, unit_of

# The canvas, in units that the browser scales.
WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 66, 350, 14, 172

TICKS = 4
MOST_DOTS = 40  # with more of them, the line says it all
MOST_POINTS = 300  # with more, only the highest and the lowest of each step to the right count
GAP = 3  # so many times the usual pause between two
FAR = 10  # so many times the usual value is too far to be drawn to scale
FEW = 5  # of so few, none is usual

SHORT, LONG = timedelta(days=4), timedelta(days=700)


@dataclass(frozen=True)
class Point:
    """One value."""

    at: datetime
    value: float


@dataclass(frozen=True)
class Mark:
    """Where a point is, and what it says."""

    x: str
    y: str
    at: datetime
    words: str


@dataclass(frozen=True)
class Tick:
    """A label at an axis: a number with its unit, or a time."""

    place: str
    words: str = ""
    number: str = ""  # for the reader's own way to write it
    unit: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Plot:
    """What to draw."""

    name: str  # of the ids in it
    title: str
    summary: str  # for who can't see it
    lines: tuple[str, ...]  # each is the points of a polyline
    areas: tuple[str, ...]  # below the lines
    marks: tuple[Mark, ...]
    beyond: tuple[Mark, ...]  # at the upper edge
    values: tuple[Tick, ...]
    times: tuple[Tick, ...]
    precision: str  # of the times: "minute", "day" or "month"


def draw(
    name: str, title: str, points: Iterable[Point], units: Sequence[tuple[float, str]]
) -> Plot | None:
    """
    The plot of these points; None if there are none.

    :param units: SIZES or TIMES.
    """
    known = sorted(points, key=lambda each: each.at)
    if not known:
        return None
    across = _across(known)
    top, values = _scale(_ceiling(known), units)

    def mark(point: Point) -> Mark:
        y = BOTTOM - (BOTTOM - TOP) * min(point.value / top, 1)
        return Mark(f"{across(point.at):.1f}", f"{y:.1f}", point.at, in_unit(point.value, units))

    inside = [each for each in known if each.value <= top]
    runs = [[mark(each) for each in run] for run in _runs(_thinned(inside, across))]
    beyond = [mark(each) for each in known if each.value > top]
    lines = [" ".join(f"{each.x},{each.y}" for each in run) for run in runs if len(run) > 1]
    marks = [each for run in runs if len(known) <= MOST_DOTS or len(run) == 1 for each in run]
    times, precision = _times(known[0].at, known[-1].at)
    return Plot(
        name=name,
        title=title,
        summary=_summary(known, units),
        lines=tuple(lines),
        areas=tuple(map(_below, lines)),
        marks=tuple(marks),
        beyond=tuple(beyond),
        values=values,
        times=times,
        precision=precision,
    )


def _across(points: Sequence[Point]) -> Callable[[datetime], float]:
    """Where a time is, from left to right; in the middle if there is only one."""
    first, span = points[0].at, (points[-1].at - points[0].at).total_seconds()
    if not span:
        return lambda _: (LEFT + RIGHT) / 2
    return lambda at: LEFT + (RIGHT - LEFT) * (at - first).total_seconds() / span


def _ceiling(points: Sequence[Point]) -> float:
    """The highest value that is drawn to scale."""
    values = sorted(each.value for each in points)
    usual = values[math.ceil(len(values) * 0.9) - 1] if len(values) >= FEW else values[-1]
    if len(values) >= FEW and usual == values[-1]:  # the highest is among the tenth above it
        usual = values[len(values) // 2]
    is_far = usual > 0 and values[-1] > FAR * usual
    return max(each for each in values if each <= FAR * usual) if is_far else values[-1]


def _scale(highest: float, units: Sequence[tuple[float, str]]) -> tuple[float, tuple[Tick, ...]]:
    """The top of the plot, and the labels from 0 to there, in round numbers of one unit."""
    factor, unit = unit_of(highest, units)
    step = _round_step((highest / factor or 1) / TICKS)
    count = max(math.ceil(highest / factor / step - 1e-9), 1)
    digits = max(-math.floor(math.log10(step)), 0)
    top = step * count
    ticks = (
        Tick(
            place=f"{BOTTOM - (BOTTOM - TOP) * number / count:.1f}",
            words=number_format(round(step * number, digits), digits, use_l10n=True),
            number=f"{step * number:.{digits}f}",
            unit=unit,
        )
        for number in range(count + 1)
    )
    return top * factor, tuple(ticks)


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20 … that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= least * (1 - 1e-9))


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The points, divided where a pause is far longer than usual."""
    pauses = sorted((after.at - before.at) for before, after in pairwise(points))
    longest = GAP * pauses[len(pauses) * 3 // 4] if len(pauses) > 1 else timedelta.max
    run = list(points[:1])
    for before, after in pairwise(points):
        if after.at - before.at > longest:
            yield run
            run = []
        run.append(after)
    if run:
        yield run


def _thinned(points: Sequence[Point], across: Callable[[datetime], float]) -> list[Point]:
    """No more of them than can be seen beside each other: none of the extremes is lost."""
    if len(points) <= MOST_POINTS:
        return list(points)
    found: list[Point] = []
    for _, column in groupby(points, key=lambda each: int(across(each.at))):
        group = list(column)
        extremes = {id(each): each for each in (min(group, key=_value), max(group, key=_value))}
        found += sorted(extremes.values(), key=lambda each: each.at)
    return found


def _value(point: Point) -> float:
    return point.value


def _below(line: str) -> str:
    """The area between a line and the axis."""
    places = line.split()
    first, last = (each.partition(",")[0] for each in (places[0], places[-1]))
    return f"{first},{BOTTOM} {line} {last},{BOTTOM}"


def _times(first: datetime, last: datetime) -> tuple[tuple[Tick, ...], str]:
    span = last - first
    if not span:
        return (Tick(f"{(LEFT + RIGHT) / 2:.1f}", at=first),), "minute"
    precision = "minute" if span < SHORT else "day" if span < LONG else "month"
    most = 1 if precision == "minute" else TICKS - 1  # those are long
    ticks = (
        Tick(f"{LEFT + (RIGHT - LEFT) * number / most:.1f}", at=first + span * number / most)
        for number in range(most + 1)
    )
    return tuple(ticks), precision


def _summary(points: Sequence[Point], units: Sequence[tuple[float, str]]) -> str:
    values = [each.value for each in points]
    if len(values) == 1:
        return gettext("One value: %(last)s.") % {"last": in_unit(values[-1], units)}
    return gettext("%(count)s values from %(least)s to %(most)s; the newest is %(last)s.") % {
        "count": len(values),
        "least": in_unit(min(values), units),
        "most": in_unit(max(values), units),
        "last": in_unit(values[-1], units),
    }
