"""
``GET metrics``, for Prometheus: what is remembered of the backups, read at each scrape.

So every worker gives the same answer, and no process needs to share anything with another.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from backups import services
from backups.api import health
from backups.api.base import StoreView
from backups.api.health import Health
from backups.api.negotiation import IgnoreAccept, JSONRenderer
from backups.api.permissions import MayReadMetrics
from backups.archive.state import State
from backups.conf import conf
from backups.exceptions import BackupError, MissingPackageError
from backups.site import local_store

PREFIX = "backups_"

Value = float | None


def _timestamp(name: str) -> Callable[[Health], Value]:
    return lambda found: _seconds_since_1970(getattr(found.state, name))


def _of_state(name: str) -> Callable[[Health], Value]:
    return lambda found: getattr(found.state, name)


# A metric that has no value yet is left out.
GAUGES: tuple[tuple[str, str, Callable[[Health], Value]], ...] = (
    ("healthy", "1 if health/backups answers 200.", lambda found: found.is_good),
    ("last_run_timestamp_seconds", "When the last backup began.", _timestamp("last_run")),
    ("last_success_timestamp_seconds", "When a backup last succeeded.", _timestamp("last_success")),
    (
        "last_verified_timestamp_seconds",
        "When a stored snapshot was last found restorable.",
        _timestamp("last_verified"),
    ),
    (
        "verified_content_timestamp_seconds",
        "Until when all that was written is in a snapshot that was found restorable.",
        _timestamp("verified_as_of"),
    ),
    (
        "verified_content_age_seconds",
        "The age of that content.",
        lambda found: _seconds(found.verified_age),
    ),
    (
        "max_age_seconds",
        "How old that content may be.",
        lambda found: _seconds(found.max_age),
    ),
    (
        "next_due_timestamp_seconds",
        "When the next backup is due.",
        lambda found: _seconds_since_1970(found.next_due),
    ),
    (
        "last_duration_seconds",
        "How long it took to store the last snapshot.",
        _of_state("last_seconds"),
    ),
    ("last_size_bytes", "The size of the newest stored file.", _of_state("last_size")),
    (
        "last_database_size_bytes",
        "The size of the database in that file.",
        _of_state("last_database_size"),
    ),
    ("consecutive_failures", "Failures since the last success.", _of_state("failures")),
    (
        "problems",
        "Stored files that were found missing or changed.",
        lambda found: len(found.state.problems),
    ),
    (
        "notice_errors",
        "Channels by which the last notice could not be sent.",
        lambda found: len(found.state.notice_errors),
    ),
)
COUNTERS: tuple[tuple[str, str, Callable[[Health], Value]], ...] = (
    ("successes", "Backups that succeeded.", _of_state("successes_total")),
    ("failures", "Backups and verifications that failed.", _of_state("failures_total")),
    ("missed", "Runs that did not take place when they were due.", lambda found: found.missed),
)


class MetricsView(StoreView):
    """
    What Prometheus scrapes: how the backups of each database are doing.

    A key with the scope `metrics` or `backup` may read it; with `BACKUPS_METRICS_OPEN`, everybody.
    """

    http_method_names = ["get", "options"]  # noqa: RUF012
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = IgnoreAccept

    def get_permissions(self) -> list[BasePermission]:
        """None if the metrics are open."""
        return [] if conf.metrics_open else [MayReadMetrics()]

    def get(self, request: Request) -> HttpResponse:
        """Show the metrics, as text for Prometheus or as OpenMetrics."""
        try:
            from prometheus_client import CollectorRegistry
            from prometheus_client.exposition import choose_encoder
        except ImportError as error:
            raise MissingPackageError(
                "The metrics need the package prometheus-client.",
                hint="Install it: pip install 'django-restorable[metrics]'",
            ) from error
        registry = CollectorRegistry(auto_describe=False)
        registry.register(RememberedMetrics())
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(registry), content_type=content_type)


class RememberedMetrics:
    """Collects the metrics of one scrape."""

    def collect(self) -> Iterator[Any]:
        """Every family, with the label ``database``."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        found = dict(_databases())
        for kind, metrics in ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, COUNTERS)):
            for name, meaning, of in metrics:
                values = {alias: of(each) for alias, each in found.items()}
                yield _family(kind, name, meaning, values)
        pending = {alias: _pending(alias) for alias in found}
        yield _family(GaugeMetricFamily, "pending_restore", "1 if a restore is pending.", pending)
        free = {alias: _free_bytes(alias) for alias in found}
        yield _family(
            GaugeMetricFamily, "free_bytes", "Free bytes on the disk of the database.", free
        )


def _databases() -> Iterator[tuple[str, Health]]:
    """BACKUPS_DATABASE, and each other that a backup was taken of."""
    yield conf.database, health.look()
    for alias in local_store.other_aliases():
        with suppress(BackupError):  # its server can't be reached: that hides no other metric
            found = health.look(database=alias)
            if found.state != State():
                yield alias, found


def _family(kind: Any, name: str, meaning: str, values: dict[str, Value]) -> Any:
    family = kind(PREFIX + name, meaning, labels=["database"])
    for alias, value in values.items():
        if value is not None:
            family.add_metric([alias], float(value))
    return family


def _pending(alias: str) -> Value:
    return _unless_refused(lambda: services.get_restore_status(database=alias).pending is not None)


def _free_bytes(alias: str) -> Value:
    return _unless_refused(lambda: services.free_bytes(database=alias))


def _unless_refused(ask: Callable[[], Value]) -> Value:
    try:
        return ask()
    except (BackupError, OSError):
        return None


def _seconds_since_1970(moment: datetime | None) -> Value:
    return None if moment is None else moment.timestamp()


def _seconds(age: timedelta | None) -> Value:
    return None if age is None else age.total_seconds()
