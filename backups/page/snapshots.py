"""The stored snapshots: the list, and all that is known of one."""

import re
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from backups.api.archive_serializers import MOST_LETTERS
from backups.archive import jobs, names, services
from backups.archive.catalog import ListedPage, StoredSnapshot
from backups.archive.jobs import Job
from backups.archive.receipts import DELETED
from backups.archive.state import State
from backups.exceptions import BackupError, BadParameterError, NotStoredError
from backups.page.base import BACK_UP, RESTORE, PageView

ON_A_PAGE = 25
MOST_MISSING = 10  # that the list names one by one


class SnapshotsPage(PageView):
    """The stored snapshots, newest first."""

    needs = (BACK_UP, RESTORE)
    back = "snapshots"

    def get(self, request: Request) -> HttpResponse:
        """A page of them. If the storage fails: why, and what is remembered beside the database."""
        words: dict[str, Any] = {
            "here": "snapshots",
            "at_work": [job for job in jobs.list_jobs() if _is_shown(job)],
            "deleted": _just_deleted(request.GET.get("deleted", "")),
            "most_letters": MOST_LETTERS,
        }
        number = _page_number(request)
        try:
            words["where"] = services.where()
            words |= _words(services.list_page((number - 1) * ON_A_PAGE, ON_A_PAGE))
            words["vanished"] = None if words["listed"].total else _vanished()
        except BackupError as error:
            words |= {"error": error, "state": services.read_state()}
        return self.page("snapshots.html", words)


class SnapshotPage(PageView):
    """All that is known of one."""

    back = "snapshots"

    def get(self, request: Request, backup: str) -> HttpResponse:
        """What its manifest says, and the buttons."""
        stored, is_lost = find(backup)
        words = {
            "here": "snapshots",
            "stored": stored,
            "is_lost": is_lost,
            "where": services.where(),
            "all_rows": 0 if stored.manifest is None else sum(stored.manifest.rows.values()),
            "unpacked_name": stored.name.removesuffix(".age").removesuffix(".zst"),
            "packed_name": stored.name.removesuffix(".age"),
            "most_letters": MOST_LETTERS,
        }
        return self.page("snapshot.html", words)


def find(word: str) -> tuple[StoredSnapshot, bool]:
    """
    A stored snapshot, and whether its file is gone.

    :raises NotStoredError: not even its manifest is there.
    """
    try:
        return services.find_snapshot(word), False
    except NotStoredError:
        return services.find_snapshot(word, even_lost=True), True


def _is_shown(job: Job) -> bool:
    """Whether the list names this job: it is at stored snapshots now."""
    return job.is_running and job.work in ("store", "verify", "run-due")


def _just_deleted(word: str) -> str:
    """The id, if that snapshot was deleted: the address of the page says so, and a receipt."""
    receipts = services.list_receipts() if names.is_id(word) else []
    return word if any((each.what, each.snapshot) == (DELETED, word) for each in receipts) else ""


def _vanished() -> State | None:
    """What is remembered of the last stored one, unless somebody has deleted that."""
    state = services.read_state()
    receipts = services.list_receipts() if state.last_id else []
    is_deleted = any((each.what, each.snapshot) == (DELETED, state.last_id) for each in receipts)
    return state if state.last_id and not is_deleted else None


def _page_number(request: Request) -> int:
    """``?page=``. :raises BadParameterError: it is no number of a page."""
    given = request.GET.get("page", "1")
    if not re.fullmatch("[1-9][0-9]{0,8}", given, re.ASCII):
        raise BadParameterError(f"page must be a whole number from 1, not {given!r}.")
    return int(given)


def _words(listed: ListedPage) -> dict[str, Any]:
    page = listed.first // ON_A_PAGE + 1
    last = listed.first + len(listed.snapshots)
    missing = sorted(listed.missing, reverse=True)
    return {
        "listed": listed,
        "from": listed.first + 1,
        "to": last,
        "newer": page - 1,  # 0: there is no such page
        "older": page + 1 if last < listed.total else 0,
        "missing": missing[:MOST_MISSING],
        "more_missing": len(missing[MOST_MISSING:]),
    }
