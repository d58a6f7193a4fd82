import pytest

from taskdog.audit.models import AuditLog
from taskdog.audit.services import list_logs, record

pytestmark = pytest.mark.django_db


def write(operation: str, resource_id: int = 1, client_name: str | None = "ann") -> AuditLog:
    return record(
        operation=operation,
        resource_type="task",
        resource_id=resource_id,
        resource_name="Write",
        client_name=client_name,
        old_values={},
        new_values={"a": [1, "é"]},
    )


def test_a_row_holds_what_changed_and_nothing_for_nothing() -> None:
    row = AuditLog.objects.get(pk=write("set_tags").pk)
    assert (row.old_values, row.new_values, row.success) == (None, {"a": [1, "é"]}, True)
    assert AuditLog.objects.filter(old_values__isnull=True).exists()
    assert row.timestamp.tzinfo is None


def test_the_newest_row_comes_first_also_within_the_same_moment() -> None:
    rows = [write(operation) for operation in "abc"]
    AuditLog.objects.update(timestamp=rows[0].timestamp)
    page = list_logs(filters={}, limit=2, offset=0)
    assert [row.operation for row in page.logs] == ["c", "b"]
    assert page.total_count == 3
    assert [row.operation for row in list_logs(filters={}, limit=2, offset=2).logs] == ["a"]


def test_filters_narrow_together_and_none_is_no_filter() -> None:
    write("a", client_name="ann")
    write("a", client_name="bob")
    write("b", client_name="ann")
    page = list_logs(
        filters={"client": "ann", "operation": "a", "success": None}, limit=9, offset=0
    )
    assert [(row.operation, row.client_name) for row in page.logs] == [("a", "ann")]
