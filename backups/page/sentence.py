"""The sentence at the top of the overview: it reassures, or it says what is wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext

from backups.api.health import OFF, Health, is_verified_here
from backups.templatetags.backups_page import ago, clock

GOOD, WARN, BAD = "good", "warn", "bad"
MOST_LETTERS = 240  # of an error in the sentence; the page has the whole of it too


@dataclass(frozen=True)
class Sentence:
    """What to say first."""

    tone: str  # GOOD, BAD, or WARN: nothing has failed, but backups may be missing
    words: str  # HTML, with the times in it
    reason: str = ""  # what else is wrong: the words have only the worst of it
    error: str = ""  # the whole error, if the words have only its beginning
    hint: str = ""


def compose(health: Health) -> Sentence:
    """The sentence for what is known of the backups."""
    if health.status == OFF:
        return Sentence(
            WARN,
            gettext("No backups are taken: no schedule is set, and nobody has asked for one."),
            hint=gettext(
                'Set BACKUPS_SCHEDULE, e.g. to "0 3 * * *" for every night at 3, and restart the'
                " site."
            ),
        )
    return _reassuring(health) if health.is_good else _alarming(health)


def _reassuring(health: Health) -> Sentence:
    state = health.state
    if state.current_as_of is None:
        return Sentence(WARN, gettext("No backup is stored yet, and no schedule asks for one."))
    if is_verified_here() and state.verified_as_of is None:
        words = gettext("Last backup {when}. None has been verified yet.")
        hint = gettext("Verify it: only then is it known that it can be restored.")
        return Sentence(WARN, format_html(words, when=ago(state.current_as_of)), hint=hint)
    return Sentence(GOOD, _and_next(health, _last(health)))


def _alarming(health: Health) -> Sentence:
    if health.status == "bad_schedule":
        words = gettext("No backup is taken: BACKUPS_SCHEDULE is not a schedule.")
        return Sentence(BAD, words, hint=gettext("The settings' warnings below say why."))
    cause = _cause(health)
    age = _age(health)
    is_recent = age is not None and (health.max_age is None or age <= health.max_age)
    since = _last(health) if is_recent else _since(health)
    if not cause:
        words = _and_next(health, since)
    elif is_recent:
        words = format_html(gettext("{since}, but {cause}"), since=since, cause=cause)
    else:
        words = format_html(gettext("{since}: {cause}"), since=since, cause=cause)
    error = health.state.last_error
    return Sentence(
        BAD,
        words,
        reason=health.reason.partition(". ")[2],
        error=error if health.status == "failed" and error != _shortened(error) else "",
        hint=_hint(health),
    )


def _last(health: Health) -> str:
    """``Last verified backup 3 hours ago``."""
    if is_verified_here():
        words, moment = gettext("Last verified backup {when}"), health.state.verified_as_of
    else:
        words, moment = gettext("Last backup {when}"), health.state.current_as_of
    return format_html(words, when=ago(moment))


def _since(health: Health) -> str:
    """``No verified backup for 2 days``."""
    age, is_verified = _age(health), is_verified_here()
    if health.state.last_success is None:
        return gettext("No backup has been stored yet")
    if age is None:
        return gettext("There is no verified backup") if is_verified else gettext("No backup")
    now = datetime.now(UTC)
    words = gettext("No backup for {age}")
    if is_verified:
        words = gettext("No verified backup for {age}")
    return format_html(words, age=timesince(now - age, now, depth=1))


def _and_next(health: Health, words: str) -> str:
    """The same with the end of the sentence: when the next one is due."""
    if health.next_due is None:
        return format_html(gettext("{words}. No schedule is set."), words=words)
    pattern = gettext("{words}; next at {next}.")
    return format_html(pattern, words=words, next=clock(health.next_due))


def _cause(health: Health) -> str:
    """The worst of what is wrong, as the end of a sentence; empty if it is only the age."""
    state = health.state
    if health.status == "failed":
        words = ngettext(
            "the last backup failed", "the last {number} backups failed", state.failures
        )
        words = format_html(words, number=state.failures)
        return format_html("{}: {}", words, _shortened(state.last_error) or "…")
    if health.status == "missed":
        words = gettext("the one that was due {due} did not take place.")
        return format_html(words, due=ago(health.overdue or state.last_missed))
    if health.status == "lost":
        words = ngettext(
            "{number} stored file has been lost or changed.",
            "{number} stored files have been lost or changed.",
            len(state.problems),
        )
        return format_html(words, number=len(state.problems))
    return ""


def _shortened(error: str) -> str:
    return error if len(error) <= MOST_LETTERS else f"{error[:MOST_LETTERS].rstrip()} …"


def _hint(health: Health) -> str:
    if health.status == "missed":
        return gettext(
            "Check whether the site, or the timer that runs the backups, was stopped at that time."
        )
    if health.status == "failed":
        return gettext("Show this to whoever runs the server. Once it is mended, back up now.")
    return ""


def _age(health: Health) -> timedelta | None:
    """The age of the content that counts."""
    return health.verified_age if is_verified_here() else health.stored_age
