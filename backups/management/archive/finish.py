"""The end of a restore in a job: the answer, and applying it if that is asked for."""

from typing import Any

from backups.api import serializers
from backups.services import apply_now
from backups.store import PendingRestore


def finish(pending: PendingRestore, *, by: str, is_now: bool, database: str | None) -> Any:
    """The answer of a restore that is staged; of one that is applied, if that is asked for."""
    if not is_now:
        context = {"database": database}
        return serializers.PendingRestoreSerializer(pending, context=context).data
    receipt = apply_now(applied_by=by, sha256=pending.sha256, database=database)
    told = {"warnings": pending.warnings}
    return serializers.AppliedRestoreSerializer(receipt, context=told).data
