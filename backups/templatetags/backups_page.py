"""Tags of the pages: times, sizes and numbers as the reader writes them, and the scripts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import formats, timesince, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from backups.disk.sizes import size_in_words

register = template.Library()

GIGABYTE = 10**9
NEW = timedelta(minutes=1)


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


@register.simple_tag(takes_context=True)
def page_scripts(context: RequestContext) -> SafeString:
    """htmx, if it is installed (``pip install 'django-restorable[page]'``), and our own script."""
    nonce = context.get("csp_nonce")
    own = format_html(
        '<script src="{}" defer nonce="{}"></script>', static("backups/page.js"), nonce
    )
    try:
        from django_htmx.jinja import htmx_script
    except ImportError:
        return own
    return htmx_script(nonce=nonce) + own


def _utc(when: Any) -> datetime:
    known = datetime.fromisoformat(when) if isinstance(when, str) else when
    return (known if known.tzinfo else known.replace(tzinfo=UTC)).astimezone(UTC)
