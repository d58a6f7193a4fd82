"""Tags of the pages: times, sizes and numbers as the reader writes them, and the scripts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from inspect import signature
from typing import Any

from django import template
from django.apps import apps
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import formats, timesince, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from backups.disk.sizes import size_in_words

register = template.Library()

GIGABYTE = 10**9
SIZES = ((1, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"))
TIMES = ((1, "s"), (60, "min"), (3600, "h"))
NEW, DAY = timedelta(minutes=1), timedelta(days=1)


@register.simple_tag
def moment(when: datetime | str | None, *, missing: str = "—") -> SafeString | str:
    """
    A time in the site's zone and language, with UTC on hover. The script of the pages writes it in
    the reader's own.
    """
    if not when:
        return missing
    utc = _utc(when)
    zone = timezone.get_current_timezone()
    local = utc.astimezone(zone)
    words = formats.date_format(local.replace(tzinfo=None), "SHORT_DATETIME_FORMAT")
    return format_html(
        '<time datetime="{}" title="{}" data-moment>{} {}</time>',
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        words,
        local.tzname(),
    )


@register.simple_tag
def ago(when: datetime | str | None, *, missing: str = "—") -> SafeString | str:
    """``3 hours ago`` or ``in 2 hours``, with UTC on hover."""
    if not when:
        return missing
    utc, now = _utc(when), datetime.now(UTC)
    if abs(now - utc) < NEW:
        words = gettext("just now") if utc <= now else gettext("in a moment")
    elif utc <= now:
        words = gettext("%(duration)s ago") % {"duration": timesince.timesince(utc, now, depth=1)}
    else:
        words = gettext("in %(duration)s") % {"duration": timesince.timesince(now, utc, depth=1)}
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        words,
    )


@register.simple_tag
def clock(when: datetime | str | None, *, missing: str = "—") -> SafeString | str:
    """``04:00`` if that is less than a day away, else with the date. UTC on hover."""
    if not when:
        return missing
    utc = _utc(when)
    local = utc.astimezone(timezone.get_current_timezone())
    is_near = abs(utc - datetime.now(UTC)) < DAY
    shape = "TIME_FORMAT" if is_near else "SHORT_DATETIME_FORMAT"
    return format_html(
        '<time datetime="{}" title="{}" data-clock="{}">{} {}</time>',
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        "clock" if is_near else "date",
        formats.date_format(local.replace(tzinfo=None), shape),
        local.tzname(),
    )


@register.simple_tag
def day(when: datetime, precision: str) -> str:
    """A label at the axis of a plot: ``Nov. 26``. The script writes it in the reader's own way."""
    local = _utc(when).astimezone(timezone.get_current_timezone()).replace(tzinfo=None)
    if precision == "month":
        return formats.date_format(local, "YEAR_MONTH_FORMAT")
    words = formats.date_format(local, "MONTH_DAY_FORMAT")
    if precision == "minute":
        return f"{words}, {formats.date_format(local, 'TIME_FORMAT')}"
    return words


@register.simple_tag
def period(length: timedelta) -> str:
    """``1 day, 1 hour``."""
    now = datetime.now(UTC)
    return timesince.timesince(now - length, now)


@register.simple_tag
def seconds(count: float | None) -> str:
    """``0.4 s``, ``3 min``."""
    return "—" if count is None else in_unit(count, TIMES)


@register.simple_tag
def size(count: int | None) -> SafeString | str:
    """``12.3 kB``, with the bytes on hover."""
    if count is None:
        return "—"
    return format_html(
        '<data value="{}" title="{}" data-size>{}</data>',
        count,
        gettext("%(count)s bytes") % {"count": f"{count:,}"},
        f"{count / 1e9:,.1f} GB" if count >= GIGABYTE else size_in_words(count),
    )


@register.simple_tag
def number(count: int | None) -> SafeString | str:
    """A whole number with separators."""
    if count is None:
        return "—"
    words = formats.number_format(count, use_l10n=True, force_grouping=True)
    return format_html('<data value="{}" data-number>{}</data>', count, words)


@register.filter
def method_name(method: str) -> str:
    """How a snapshot was taken, as its manifest names it."""
    known = {"compact": gettext("compact"), "pages": gettext("pages"), "dump": gettext("dump")}
    return known.get(method, method)


@register.simple_tag(takes_context=True)
def page_scripts(context: RequestContext) -> SafeString:
    """htmx, if it is installed (``pip install 'django-restorable[page]'``), and our own script."""
    nonce = context.get("csp_nonce")
    own = format_html(
        '<script src="{}" defer nonce="{}"></script>', static("backups/page.js"), nonce
    )
    if not has_htmx():
        return own
    from django_htmx.jinja import htmx_script

    return htmx_script(version=2, nonce=nonce) + own


def has_htmx() -> bool:
    """Whether django-htmx is installed, and not older than 1.29: that one has htmx 2 by name."""
    if not apps.is_installed("django_htmx"):  # else its files would not be found
        return False
    from django_htmx import jinja

    found = getattr(jinja, "htmx_script", None)
    return found is not None and "version" in signature(found).parameters


def in_unit(value: float, units: Sequence[tuple[float, str]]) -> str:
    """``12.3 MB``, ``40 s``: in the largest unit that it has one of."""
    factor, unit = unit_of(value, units)
    number = value / factor
    digits = 0 if number >= 100 or number == int(number) else 1 if number >= 1 else 2
    return f"{formats.number_format(round(number, digits), digits, use_l10n=True)} {unit}"


def unit_of(value: float, units: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """The largest unit that a value has one of: its factor and its name."""
    fit = [each for each in units if each[0] <= value]
    return fit[-1] if fit else units[0]


def _utc(when: Any) -> datetime:
    known = datetime.fromisoformat(when) if isinstance(when, str) else when
    return (known if known.tzinfo else known.replace(tzinfo=UTC)).astimezone(UTC)
