"""
Apply the pending restore while the site runs.

A child does the work (apply_now_child.py), since it opens the live database's own file, which no
process that serves may do (https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

import json
import sqlite3
import subprocess
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from backups.disk import files
from backups.exceptions import (
    BackupError,
    ChildNotStartedError,
    NeedsRestartError,
    NoPendingRestoreError,
    NotEnoughSpaceError,
    RestoreBlockedError,
    RestoreRefusedError,
)
from backups.processes.spawn import ending, run_module
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.records.manifest import Manifest, find_manifest
from backups.sqlite.records.receipts import last_conclusion, make_receipt, parse_receipt
from backups.sqlite.restores.conclude import conclude, conclude_overwritten, is_overwritten
from backups.sqlite.restores.pending import missing_migrations, set_aside, verify_pending
from backups.sqlite.site import Site
from backups.store import Receipt

GRACE_SECONDS = 60.0  # for what comes before the lock and after the commit


def apply_pending_now(
    paths: StorePaths,
    *,
    site: Site,
    seconds: float,
    applied_by: str,
    sha256: str | None,
    keeping: Keeping,
    presence: int | None,
    floor: int = 0,
) -> Receipt:
    """
    Apply the pending restore in one transaction, and return its receipt.

    :param seconds: how long writers may be kept waiting.
    :param sha256: of the snapshot to apply; None for whichever is pending.
    :param presence: the descriptor that holds presence, if this process does.

    Errors are those of ``BackupStore.apply_now``.
    """
    if presence is None:  # a process that starts now would think that it is alone
        raise NeedsRestartError(f"This process can't tell others that it uses {paths.database}.")
    with files.exclusive_folder(paths.folder) as folder:
        if not files.exists(paths.pending):
            raise NoPendingRestoreError("No restore is pending.")
        manifest = _verify(paths, applied_by, keeping)
        if sha256 not in (None, manifest.snapshot_sha256):
            raise RestoreBlockedError(
                "Another restore was staged before this one could be applied.",
                hint=f"What {manifest.staged_by} staged is pending now.",
            )
        try:
            _check_needs_no_start(manifest, site)
            request = {
                "database": str(paths.database),
                "sha256": manifest.sha256,
                "seconds": seconds,
                "applied_by": applied_by,
                "keeping": asdict(keeping),
                "floor": floor,
            }
            return _run_child(paths, request, (folder, presence))
        except BackupError as error:
            moment = datetime.now(UTC)
            receipt = make_receipt(moment, "blocked", str(error), manifest, by=applied_by)
            conclude(paths, receipt, keeping=keeping)
            raise


def _verify(paths: StorePaths, applied_by: str, keeping: Keeping) -> Manifest:
    try:
        return verify_pending(paths)
    except RestoreRefusedError as error:
        moment = datetime.now(UTC)
        aside = set_aside(paths, moment)
        receipt = make_receipt(moment, "refused", str(error), kept=aside, by=applied_by)
        conclude(paths, receipt, keeping=keeping)
        raise


def _check_needs_no_start(manifest: Manifest, site: Site) -> None:
    if missing := missing_migrations(manifest, site):
        raise NeedsRestartError(
            f"The snapshot is older than this release, and needs {len(missing)}"
            f" migration{'s' * (len(missing) > 1)}: {', '.join(missing[:5])}"
            f"{' …' * (len(missing) > 5)}. Only a start can run them."
        )


def _run_child(paths: StorePaths, request: dict[str, Any], inherit: tuple[int, ...]) -> Receipt:
    limit = request["seconds"] + GRACE_SECONDS
    try:
        child = run_module(
            "backups.sqlite.restores.apply_now_child",
            json.dumps(request),
            seconds=limit,
            inherit=inherit,
        )
        verdict = json.loads(child.stdout)
    except ChildNotStartedError as error:
        raise NeedsRestartError(f"{error} Nothing was changed.") from error
    except subprocess.TimeoutExpired:
        how = f"did not end within {limit:g} seconds"
    except ValueError:
        how = f"ended with {ending(child)}"
    else:
        if "error" in verdict:
            _unmark(paths)
        return read_verdict(verdict)
    return _find_outcome(paths, request, how)


def _find_outcome(paths: StorePaths, request: dict[str, Any], how: str) -> Receipt:
    """The child did not report the outcome. The live database shows it."""
    last = last_conclusion(paths)
    if not files.exists(paths.pending) and last is not None and last.outcome == "applied":
        return last  # the child finished, and could not report it any more
    what = f"The process that was to replace the content of {paths.database} {how}."
    try:
        manifest = verify_pending(paths)
        if is_overwritten(paths, manifest) and (
            receipt := conclude_overwritten(paths, manifest, by=request["applied_by"])
        ):
            return receipt
    except (sqlite3.Error, OSError) as error:
        raise NeedsRestartError(
            f"{what} It is not known whether it did: {error}. The next start finds out."
        ) from error
    _unmark(paths)
    raise NeedsRestartError(f"{what} Nothing was changed.")


def _unmark(paths: StorePaths) -> None:
    with suppress(OSError):  # it is gone, or the disk is full: then the next start does it
        if (manifest := find_manifest(paths)) is not None:
            manifest.unmark(paths)


def read_verdict(verdict: dict[str, Any]) -> Receipt:
    """The receipt that the child reported; raises the error that it reported."""
    if "receipt" in verdict:
        receipt = parse_receipt(json.dumps(verdict["receipt"]).encode())
        assert receipt is not None
        return receipt
    if "needed_bytes" in verdict:
        raise NotEnoughSpaceError(
            verdict["error"],
            needed_bytes=verdict["needed_bytes"],
            free_bytes=verdict["free_bytes"],
            hint="It stays pending: restart the server, which needs no such room, or try again."
            f" {verdict['hint']}",
        )
    raise NeedsRestartError(verdict["error"])
