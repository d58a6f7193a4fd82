"""
Replace the live content while the site runs: ``main``, for a separate process.

It opens the live database's own file. It inherits two locks from its parent, and still holds them
if the parent is killed: one on the folder, so that nobody stages or discards at the same time, and
presence, so that no starting process thinks that it is alone.
"""

import json
import sqlite3
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backups.disk import files
from backups.exceptions import BackupError, NotEnoughSpaceError
from backups.processes.spawn import answering
from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.format.sqlite_errors import describe_error
from backups.sqlite.kept.keep import free_name
from backups.sqlite.kept.pruning import Keeping
from backups.sqlite.records.manifest import Manifest
from backups.sqlite.records.receipts import make_receipt
from backups.sqlite.restores.conclude import conclude
from backups.sqlite.restores.overwrite import overwrite_shared
from backups.sqlite.restores.pending import announce


def main(request: str) -> None:
    """Answer with the verdict: both it and the request are one JSON object."""
    with answering() as answer:
        answer.write(json.dumps(apply(json.loads(request)), default=datetime.isoformat))


def apply(request: dict[str, Any]) -> dict[str, Any]:
    """Overwrite the live database and conclude the restore. Returns the verdict."""
    paths = StorePaths.of(Path(request["database"]))
    started, moment = time.monotonic(), datetime.now(UTC)
    try:
        manifest = Manifest.load(paths.manifest(request["sha256"]))
        assert manifest is not None  # our parent has verified it, and we hold its lock
        kept = free_name(paths, moment)
        manifest = announce(paths, manifest, kept, is_wal=False)  # it stays in the mode it is in
        overwrite_shared(paths, manifest, kept, seconds=request["seconds"], floor=request["floor"])
    except NotEnoughSpaceError as error:
        room = {"needed_bytes": error.needed_bytes, "free_bytes": error.free_bytes}
        return {"error": str(error), "hint": error.hint, **room}
    except BackupError as error:
        return {"error": str(error)}
    except sqlite3.Error as error:
        reason = describe_error(error, paths.database)
        return {"error": f"The content of {paths.database} could not be replaced: {reason}."}
    except OSError as error:
        reason = files.explain(error, paths.folder)
        return {"error": f"The content of {paths.database} could not be replaced: {reason}"}
    seconds = time.monotonic() - started
    receipt = make_receipt(moment, "applied", "", manifest, kept, seconds, by=request["applied_by"])
    return {"receipt": asdict(conclude(paths, receipt, keeping=Keeping(**request["keeping"])))}
