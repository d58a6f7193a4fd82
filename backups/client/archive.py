"""What a client does with the stored snapshots of a server."""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from backups.client.download import RemoteSnapshot
from backups.client.exchange import Exchange
from backups.client.refusals import answer_of_another
from backups.client.snapshot_name import is_stored_name
from backups.client.stored_file import TRIES, save_stored_file
from backups.disk.progress import Progress
from backups.exceptions import (
    OutcomeUnknownError,
    ServerRefusedError,
    ServerUnreachableError,
)
from backups.store import SUFFIXES

Answer = dict[str, Any]

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two looks at a job
BUSY = (502, 503, 504)
SHA256 = re.compile("[0-9a-f]{64}")
ENDS = ("done", "failed", "stopped")


class ArchiveClient:
    """
    A part of ``BackupClient``. A stored snapshot is named by its id, its name, or ``latest``.

    Long work is done by a job of the server. Each method waits for its end, however long it takes;
    the job goes on if nobody waits.
    """

    base_url: str
    _exchange: Exchange

    def store_backup(self, label: str | None = None) -> Answer:
        """
        Let the server store a snapshot, if anything has changed since the last one.

        :param label: a word to know it by; with one it is stored in any case.
        :returns: ``status``: stored or unchanged, and ``backup``.
        """
        body = {} if label is None else {"label": label}
        return self._work("backups", _has_status("stored", "unchanged"), json=body)

    def list_backups(self) -> Answer:
        """The stored snapshots, the newest first, as ``backups``; ``where`` they are."""
        return self._exchange.json("GET", "backups", _is_list)

    def get_backup(self, backup: str) -> Answer:
        """All that is known of a stored snapshot."""
        return self._exchange.json("GET", _place(backup), _is_stored)

    def open_backup(self, backup: str) -> RemoteSnapshot:
        """
        Download a stored file in pieces, as it is. The caller must close it.

        If the connection ends early, another fetches the rest.
        """

        def ask(more: dict[str, str]) -> requests.Response:
            return self._ask_for(backup, more)

        return RemoteSnapshot(ask({}), ask_again=ask, is_database=False)

    def download_backup(
        self,
        backup: str,
        path: Path,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """
        Save a stored file as it is: packed, and encrypted if it was stored so.

        It has its name only once it is whole and its SHA-256 is right. If the connection ends
        early, others fetch the rest; what has arrived stays in ``<path>.<hash>.part`` if that can't
        be done, and the next call begins there.

        :param progress: called with the number of bytes of each step; a negative one if it begins
            anew.
        :raises DestinationError: it exists and ``overwrite`` is false, or can't be written.
        :raises TransferInterruptedError: it broke off too often, or is not what was sent.
        :raises ClientError: the server could not be used.
        """
        stored = self.get_backup(backup)
        save_stored_file(
            stored,
            lambda more: self._ask_for(stored["id"], more),
            path,
            overwrite=overwrite,
            progress=progress or (lambda _: None),
        )

    def verify_backup(self, backup: str) -> Answer:
        """Let the server try it. ``outcome`` is restorable, or says what it is instead."""
        is_ours: Is = lambda answer: isinstance(answer.get("outcome"), str)  # noqa: E731
        return self._work(f"{_place(backup)}/verify", is_ours)

    def restore_backup(
        self, backup: str, *, now: bool = False, accept: Iterable[str] = ()
    ) -> Answer:
        """
        Let the server stage it; it applies that when it restarts.

        ``now``, ``accept`` and the result are as for ``stage_restore``.
        """
        params = {"apply": "now" if now else None, "accept": ",".join(sorted(accept)) or None}
        is_ours = _has_status("applied" if now else "pending")
        return self._work(f"{_place(backup)}/restore", is_ours, params=params)

    def delete_backup(self, backup: str, *, force: bool = False) -> Answer:
        """Let the server delete it; with ``force`` even if it is the last good one."""
        params = {"force": "1" if force else None}
        return self._exchange.json("DELETE", _place(backup), _has_status("deleted"), params=params)

    def hold_backup(self, backup: str, *, reason: str = "") -> Answer:
        """Hold it, so that nobody can delete it."""
        return self._exchange.json(
            "POST", f"{_place(backup)}/hold", _is_stored, json={"reason": reason}
        )

    def release_backup(self, backup: str) -> Answer:
        """Release a stored snapshot."""
        return self._exchange.json("DELETE", f"{_place(backup)}/hold", _is_stored)

    def _ask_for(self, backup: str, more: dict[str, str]) -> requests.Response:
        response, _ = self._exchange.request(
            "GET", f"{_place(backup)}/download", is_read=False, headers=more
        )
        return response

    def _work(self, name: str, is_ours: "Is", **arguments: Any) -> Answer:
        """The answer to a request that the server may give to a job, once that has ended."""
        answer = self._exchange.json(
            "POST", name, lambda said: is_ours(said) or _is_job(said), **arguments
        )
        if not _is_job(answer):
            return answer
        job = self._ended(answer)
        if job["status"] == "failed":
            raise _refusal(f"{self.base_url} refused: ", job["error"] or {})
        if job["status"] == "stopped":
            raise OutcomeUnknownError(
                f"The outcome is not known: a process of {self.base_url} was stopped.",
                hint=self._exchange.ask_first(name),
            )
        if not isinstance(job["answer"], dict) or not is_ours(job["answer"]):
            raise answer_of_another(f"{self.base_url}: job {job['job']}")
        return dict(job["answer"])

    def _ended(self, job: Answer) -> Answer:
        failed, pause = 0, FIRST_PAUSE
        while job["status"] == "running":
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE)
            try:
                job = self._exchange.json("GET", f"backups/jobs/{_quoted(job['job'])}", _is_job)
                failed = 0
            except (ServerUnreachableError, ServerRefusedError) as error:  # it may restart
                if isinstance(error, ServerRefusedError) and error.status not in BUSY:
                    raise
                failed, pause = failed + 1, LONGEST_PAUSE
                if failed > TRIES:
                    raise
        return job


Is = Callable[[Answer], bool]


def _refusal(beginning: str, error: Answer) -> ServerRefusedError:
    status = error.get("status")
    return ServerRefusedError(
        f"{beginning}{error.get('detail') or 'its work failed.'}",
        status=status if isinstance(status, int) else 500,
        hint=str(error.get("hint") or ""),
        code=str(error.get("code") or ""),
    )


def _place(backup: str) -> str:
    return f"backups/{_quoted(backup)}"


def _quoted(word: str) -> str:
    """In a URL; not as ``.`` or ``..``, which a URL can't have in it."""
    return quote(word, safe="").replace(".", "%2E") if set(word) == {"."} else quote(word, safe="")


def _has_status(*known: str) -> Is:
    return lambda answer: answer.get("status") in known


def _is_list(answer: Answer) -> bool:
    found = answer.get("backups")
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _is_stored(answer: Answer) -> bool:
    """Its name is used for a file: so it must have the form of a stored file's."""
    snapshot_id, name, sha256 = (answer.get(key) for key in ("id", "name", "sha256"))
    return bool(
        isinstance(name, str)
        and is_stored_name(name)
        and isinstance(snapshot_id, str)
        and any(f"-backup-{snapshot_id}{suffix}." in name for suffix in SUFFIXES)
        and isinstance(answer.get("size"), int)
        and (sha256 is None or (isinstance(sha256, str) and SHA256.fullmatch(sha256)))
    )


def _is_job(answer: Answer) -> bool:
    has_words = isinstance(answer.get("job"), str)
    return has_words and answer.get("status") in ("running", *ENDS)
