"""Checks of who is told when a backup fails."""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from backups.client.loopback import is_this_machine
from backups.conf import conf


def check_notices(**_: Any) -> list[CheckMessage]:
    """Check the settings. Sends nothing."""
    return [*_mail(), *_urls(), *_hours(), *_age()]


def _mail() -> Iterator[CheckMessage]:
    given = getattr(settings, "BACKUPS_NOTIFY_MAIL", None)
    if given is None or (isinstance(given, list | tuple) and all(map(_is_address, given))):
        return
    yield Error(
        f"BACKUPS_NOTIFY_MAIL is {given!r}, which is not a list of mail addresses.",
        hint="List who is told when a backup fails, e.g. ['ops@example.org']; [] for nobody."
        " Without the setting, ADMINS are told.",
        id="backups.E080",
    )


def _is_address(given: Any) -> bool:
    try:
        validate_email(given)
    except ValidationError:
        return False
    return True


def _urls() -> Iterator[CheckMessage]:
    """No message quotes a URL: it is a secret."""
    if not conf.webhook and not conf.ping_url:
        return
    from backups.notices import request  # slow to import

    urls = (("81", "BACKUPS_WEBHOOK", conf.webhook), ("82", "BACKUPS_PING_URL", conf.ping_url))
    for number, name, url in urls:
        if not url:
            continue
        if problem := request.explain_unfit(url):
            yield Error(
                f"The URL in {name} {problem}.",
                hint="Set a URL such as https://hooks.example.org/…, or remove the setting.",
                id=f"backups.E0{number}",
            )
        elif urlsplit(url).scheme == "http" and not is_this_machine(urlsplit(url).hostname):
            yield CheckWarning(
                f"{name} names another machine in plain http: others can read the URL on its way,"
                " and what is sent.",
                hint="Use https, unless you trust the network in between, e.g. a VPN.",
                id=f"backups.W0{number}",
            )


def _hours() -> Iterator[CheckMessage]:
    value = getattr(settings, "BACKUPS_REMIND_HOURS", 24)
    if _is_positive(value):
        return
    yield Error(
        f"BACKUPS_REMIND_HOURS should be a number of hours greater than zero, not {value!r}.",
        hint="Remove it to be told again once a day.",
        id="backups.E083",
    )


def _is_positive(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 < value < math.inf


def _age() -> Iterator[CheckMessage]:
    value = getattr(settings, "BACKUPS_MAX_AGE", None)
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if value is None or _is_positive(seconds):
        return
    yield Error(
        f"BACKUPS_MAX_AGE should be a timedelta, or a number of seconds greater than zero, not"
        f" {value!r}.",
        hint="Remove it to go by BACKUPS_SCHEDULE.",
        id="backups.E084",
    )


def check_told(**_: Any) -> list[CheckMessage]:
    """Check that somebody is told."""
    return list(_nobody())


def _nobody() -> Iterator[CheckMessage]:
    from backups.notices import mail  # slow to import

    if not conf.schedule or mail.recipients() or conf.webhook or conf.ping_url:
        return
    yield CheckWarning(
        "BACKUPS_SCHEDULE is set, and nobody is told when a backup fails.",
        hint="Set ADMINS or BACKUPS_NOTIFY_MAIL, BACKUPS_WEBHOOK, or BACKUPS_PING_URL; then try it"
        " with: manage.py backups notify --test. Or watch health/backups.",
        id="backups.W080",
    )
