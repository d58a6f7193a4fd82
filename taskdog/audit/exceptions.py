"""What the audit log refuses."""

from taskdog.exceptions import NotFoundError


class AuditLogNotFoundError(NotFoundError):
    """There is no row with that id."""

    def __init__(self, log_id: int) -> None:
        super().__init__(f"Audit log {log_id} not found")
