"""The first page: whether the site is backed up, in one sentence, and what that rests on."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.utils.translation import gettext
from rest_framework.request import Request

from backups import services
from backups.api import health
from backups.api.health import Health
from backups.archive import jobs
from backups.archive import services as archive
from backups.archive.jobs import Job
from backups.archive.receipts import STORED, ArchiveReceipt
from backups.conf import conf
from backups.exceptions import BackupError
from backups.page import own_checks, plots
from backups.page.base import PageView
from backups.page.plots import Plot, Point
from backups.page.sentence import BAD, Sentence, compose
from backups.schedule import cron
from backups.schedule.attempts import last_attempt
from backups.templatetags.backups_page import SIZES, TIMES

MOST_ROWS = 100  # of the table beside the plots
MOST_NAMED = 10  # lost files that are listed
TAKES_BACKUPS = ("store", "run-due")  # jobs

T = TypeVar("T")


@dataclass(frozen=True)
class Taken:
    """A snapshot that was stored, for the plots."""

    at: datetime
    size: int
    seconds: float | None


@dataclass(frozen=True)
class Age:
    """How old something is, and how old it may be."""

    at: datetime
    age: timedelta
    limit: timedelta | None

    @property
    def is_over(self) -> bool:
        """Whether it is too old."""
        return self.limit is not None and self.age > self.limit

    @property
    def share(self) -> str:
        """Of the limit: 0 to 100."""
        return f"{min(self.age / self.limit, 1) * 100:.1f}" if self.limit else "0"


class OverviewPage(PageView):
    """Whether backups are taken, verified and recent; what is due; what to worry about."""

    def get(self, request: Request) -> HttpResponse:
        """Reads what is remembered beside the database, and asks the storage nothing."""
        self.problems: dict[str, Any] = {}
        found = self._ask(health.look)
        words = {
            "here": "overview",
            "sentence": self._sentence(found),
            "health": found,
            "where": self._ask(archive.where),
            "free_bytes": self._ask(services.free_bytes),
            "at_work": self._ask(_at_work),
            "restores": self._ask(services.get_restore_status),
            "messages": own_checks.messages(),
            **self._ages(found),
            **self._schedule(),
            **self._plots(),
        }
        return self.page("overview.html", words | {"problems": self.problems.values()})

    def _ask(self, question: Callable[[], T]) -> T | None:
        """The answer; None if there is an error, which is shown instead, and only once."""
        try:
            return question()
        except (BackupError, ImproperlyConfigured, ValueError, TypeError) as error:
            self.problems.setdefault(str(error), error)
            return None

    def _sentence(self, found: Health | None) -> Sentence:
        """What to say first. If nothing can be known, that is the sentence."""
        if found is not None:
            return compose(found)
        return Sentence(BAD, gettext("It is not known whether this site is backed up."))

    def _ages(self, found: Health | None) -> dict[str, Any]:
        if found is None:
            return {}
        state = found.state
        return {
            "stored": _age(state.current_as_of, found.stored_age, found),
            "verified": _age(state.verified_as_of, found.verified_age, found),
            "is_verified_here": health.is_verified_here(),
            "lost": state.problems[:MOST_NAMED],
            "more_lost": max(len(state.problems) - MOST_NAMED, 0),
        }

    def _schedule(self) -> dict[str, Any]:
        """The schedule in words. What is wrong with it, health and the checks say."""
        attempt = self._ask(last_attempt)
        again_at = None if attempt is None else attempt.again_at
        is_ahead = again_at is not None and again_at > datetime.now(UTC)
        found = {"schedule": conf.schedule, "again_at": again_at if is_ahead else None}
        with suppress(BackupError):
            return found | {
                "schedule_in_words": cron.explain(conf.schedule) if conf.schedule else "",
                "zone": settings.TIME_ZONE or cron.zone(),
            }
        return found

    def _plots(self) -> dict[str, Any]:
        taken = list(_taken(self._ask(archive.list_receipts) or ()))
        return {
            "plots": list(filter(None, (_plot_of_sizes(taken), _plot_of_seconds(taken)))),
            "taken": taken[:MOST_ROWS],
            "taken_count": len(taken),
        }


def _at_work() -> list[Job]:
    """The backups that are under way."""
    return [job for job in jobs.list_jobs() if job.is_running and job.work in TAKES_BACKUPS]


def _age(at: datetime | None, age: timedelta | None, found: Health) -> Age | None:
    """Its limit is one that stays, while the one of ``found`` moves on with the clock."""
    if at is None or age is None:
        return None
    limit = found.max_age
    if limit is not None:
        with suppress(OverflowError):  # a time that was changed by hand, at the end of the calendar
            limit = health.limit_of(at)
    return Age(at, age, limit)


def _taken(receipts: Iterable[ArchiveReceipt]) -> Iterator[Taken]:
    """What was stored, the newest first. One without a time was changed by hand: left out."""
    for each in receipts:
        if each.what == STORED and each.size is not None:
            with suppress(ValueError, OverflowError):
                at = datetime.fromisoformat(each.at).astimezone(UTC)
                yield Taken(at, each.size, each.seconds)


def _plot_of_sizes(taken: Iterable[Taken]) -> Plot | None:
    points = (Point(each.at, each.size) for each in taken)
    return plots.draw("sizes", gettext("Size of the stored file"), points, SIZES)


def _plot_of_seconds(taken: Iterable[Taken]) -> Plot | None:
    points = (Point(each.at, each.seconds) for each in taken if each.seconds is not None)
    return plots.draw("seconds", gettext("Time it took"), points, TIMES)
