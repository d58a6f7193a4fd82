"""Write the audit log, and look things up in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskdog.audit.exceptions import AuditLogNotFoundError
from taskdog.audit.models import MAX_RESOURCE_NAME_LENGTH, AuditLog

__all__ = ["MAX_RESOURCE_NAME_LENGTH", "AuditPage", "get_log", "list_logs", "record"]

FILTERS = {
    "client": "client_name",
    "operation": "operation",
    "resource_type": "resource_type",
    "resource_id": "resource_id",
    "success": "success",
    "start": "timestamp__gte",
    "end": "timestamp__lte",
}


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A part of the log, newest first, and how many rows the filters leave in all."""

    logs: list[AuditLog]
    total_count: int


def record(
    *,
    operation: str,
    resource_type: str,
    resource_id: int | None,
    resource_name: str | None,
    client_name: str | None,
    old_values: Mapping[str, Any] | None = None,
    new_values: Mapping[str, Any] | None = None,
    success: bool = True,
    error_message: str | None = None,
) -> AuditLog:
    """
    Add a row about a change, or about one that was refused.

    Call it in the transaction of the change itself: then there is neither a change without its
    row nor a row without its change.

    :param client_name: the name of the key or the user; None for an anonymous caller.
    :param old_values: what changed, before; ``new_values``: after. Empty is stored as null.
    :param success: False for a refusal, which ``error_message`` gives the reason of.
    """
    return AuditLog.objects.create(
        operation=operation,
        resource_type=resource_type,
        resource_id=resource_id,
        resource_name=resource_name,
        client_name=client_name,
        old_values=old_values or None,
        new_values=new_values or None,
        success=success,
        error_message=error_message,
    )


def get_log(log_id: int) -> AuditLog:
    """
    Look one row up. Reads only.

    :raises AuditLogNotFoundError: if there is none with that id.
    """
    try:
        return AuditLog.objects.get(pk=log_id)
    except AuditLog.DoesNotExist as error:
        raise AuditLogNotFoundError(log_id) from error


def list_logs(*, filters: Mapping[str, Any], limit: int, offset: int) -> AuditPage:
    """
    Look rows up, newest first. Reads only.

    :param filters: values by the names in ``FILTERS``; None leaves a filter out.
    """
    wanted = {
        column: filters[name] for name, column in FILTERS.items() if filters.get(name) is not None
    }
    found = AuditLog.objects.filter(**wanted).order_by("-timestamp", "-id")
    return AuditPage(logs=list(found[offset : offset + limit]), total_count=found.count())
