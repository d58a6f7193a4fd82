"""
What a monitor asks: whether the backups are doing well.

    path("health/backups", backup_health)

Open to everybody, as a probe has no key. So it says how many and how old, and names no file, no
storage and no error.
"""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from backups.api import health
from backups.api.base import outside_of_transactions
from backups.exceptions import BackupNotSupportedError, DatabaseServerError

__all__ = ["backup_health"]

UNSUPPORTED = "The database is neither SQLite in a file nor PostgreSQL, or its driver is missing."
NO_COPY = {"Cache-Control": "no-store"}


@outside_of_transactions
@csrf_exempt  # another method is a 405, and not a page about a token
@require_safe
def backup_health(request: HttpRequest) -> HttpResponse:
    """200 if the backups are doing well, 503 if somebody must look: ``reason`` says why."""
    try:
        found = health.look()
    except BackupNotSupportedError:
        words = {"status": "not_supported", "reason": UNSUPPORTED}
        return JsonResponse(words, status=501, headers=NO_COPY)
    except DatabaseServerError:
        words = {"status": "unreachable", "reason": "The database server can't be reached."}
        return _unlogged(JsonResponse(words, status=503, headers=NO_COPY))
    status = 200 if found.is_good else 503
    return _unlogged(JsonResponse(_answer(found), status=status, headers=NO_COPY))


def _unlogged(response: HttpResponse) -> HttpResponse:
    """Or Django would log an error, and mail it to ADMINS, each time that a monitor asks."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _answer(found: health.Health) -> dict[str, Any]:
    """Times are UTC, ages in seconds."""
    state = found.state
    return {
        "status": found.status,
        "reason": found.reason,
        "last_success": _iso(state.last_success),
        "last_verified": _iso(state.last_verified),
        "verified_age": _seconds(found.verified_age),
        "stored_age": _seconds(found.stored_age),
        "max_age": _seconds(found.max_age),
        "failures": state.failures,
        "missed": found.missed,
        "problems": len(state.problems),
        "next_due": _iso(found.next_due),
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _seconds(age: timedelta | None) -> int | None:
    return None if age is None else int(age.total_seconds())
