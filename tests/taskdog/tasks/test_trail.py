"""What is refused leaves a row as well, and nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from taskdog.audit import services as audit
from taskdog.audit.models import AuditLog
from taskdog.exceptions import TaskdogError
from taskdog.tasks import services
from taskdog.tasks.exceptions import TaskNotFoundError
from taskdog.tasks.models import Tag, Task

HUGE = 10**30

# By operation: a call that the domain refuses, on the task with the id 1.
REFUSED: dict[str, Callable[[], Any]] = {
    "create_task": lambda: services.create_task(" ", client_name="ann"),
    "update_task": lambda: services.update_task(1, changes={"name": " "}, client_name="ann"),
    "delete_task": lambda: services.delete_task(HUGE, client_name="ann"),
    "start_task": lambda: services.start_task(1, client_name="ann"),
    "complete_task": lambda: services.complete_task(1, client_name="ann"),
    "pause_task": lambda: services.pause_task(1, client_name="ann"),
    "cancel_task": lambda: services.cancel_task(1, client_name="ann"),
    "reopen_task": lambda: services.reopen_task(-1, client_name="ann"),
    "archive_task": lambda: services.archive_task(99, client_name="ann"),
    "restore_task": lambda: services.restore_task(1, client_name="ann"),
    "fix_actual_times": lambda: services.fix_actual_times(
        1, changes={"actual_duration": -1.0}, client_name="ann"
    ),
    "set_tags": lambda: services.set_tags(1, tags=["a", "a"], client_name="ann"),
    "delete_tag": lambda: services.delete_tag("nothing", client_name="ann"),
    "update_notes": lambda: services.write_notes(99, content="x", client_name="ann"),
    "delete_notes": lambda: services.delete_notes(99, client_name="ann"),
    "add_dependency": lambda: services.add_dependency(1, depends_on_id=1, client_name="ann"),
    "remove_dependency": lambda: services.remove_dependency(1, depends_on_id=2, client_name="ann"),
}
NAMED = {"create_task": " ", "delete_tag": "nothing"}
UNKNOWN = {"delete_task": None, "reopen_task": None}  # ids that no row can have
MISSING = {"archive_task": 99, "update_notes": 99, "delete_notes": 99}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", REFUSED)
def test_a_refusal_is_recorded_with_its_reason(operation: str) -> None:
    Task.objects.create(pk=1, name="Write", status="CANCELED")
    with pytest.raises(TaskdogError) as refused:
        REFUSED[operation]()
    row = AuditLog.objects.get()
    assert (row.operation, row.success, row.client_name) == (operation, False, "ann")
    assert row.error_message == str(refused.value)
    assert (row.old_values, row.new_values) == (None, None)
    if operation in NAMED:
        assert (row.resource_id, row.resource_name) == (None, NAMED[operation])
    elif operation in UNKNOWN | MISSING:
        assert (row.resource_id, row.resource_name) == (MISSING.get(operation), None)
    else:
        assert (row.resource_id, row.resource_name) == (1, "Write")
    assert row.resource_type == ("tag" if operation == "delete_tag" else "task")


def test_every_service_that_writes_is_in_the_table() -> None:
    reads = {"read_notes", "change_each", "Change", "Outcome", "Update", "write_notes"}
    assert set(services.__all__) - reads <= set(REFUSED)


@pytest.mark.django_db(transaction=True)
def test_what_was_begun_is_taken_back_and_the_row_stays() -> None:
    task = services.create_task("Write", client_name=None)
    changes = {"tags": ["new"], "planned_start": "2020"}

    with pytest.raises(TypeError):  # a fault of ours, halfway: no row tells of it
        services.update_task(task.pk, changes=changes, client_name=None)
    assert AuditLog.objects.filter(success=False).count() == 0
    with pytest.raises(TaskdogError):
        services.create_task("x", tags=["new", ""], client_name=None)
    assert AuditLog.objects.filter(success=False).count() == 1
    assert not Tag.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_log_that_cannot_be_written_does_not_hide_the_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(**values: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(audit, "record", locked)
    with pytest.raises(TaskNotFoundError):
        services.start_task(99, client_name=None)
    assert "lacks a refused start_task: database is locked" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_long_name_is_cut_to_what_the_log_holds() -> None:
    with pytest.raises(TaskdogError):
        services.create_task("x" * 600, client_name=None)
    assert AuditLog.objects.get().resource_name == "x" * 500
