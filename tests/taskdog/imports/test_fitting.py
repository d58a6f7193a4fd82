"""What SQLite holds and PostgreSQL does not is changed to the nearest, and told."""

from taskdog.audit.models import AuditLog
from taskdog.imports.fitting import fitting
from taskdog.tasks.models import Note, Task


def test_a_nul_is_replaced_wherever_it_is() -> None:
    changes: list[str] = []
    values = {"a\0": ["b\0", {"c": "d\0"}], "n": 1}
    note, log = fitting(
        [Note(task_id=3, content="x\0y"), AuditLog(id=7, new_values=values)], changes
    )
    assert isinstance(note, Note)
    assert isinstance(log, AuditLog)
    assert note.content == "x\ufffdy"
    assert log.new_values == {"a\ufffd": ["b\ufffd", {"c": "d\ufffd"}], "n": 1}
    assert changes == [
        "notes 3: its content has a NUL, which is \ufffd now",
        "audit_logs 7: its new_values has a NUL, which is \ufffd now",
    ]


def test_a_text_that_is_too_long_is_cut() -> None:
    changes: list[str] = []
    [task] = fitting([Task(id=5, name="ä" * 256)], changes)
    assert task.name == "ä" * 255
    assert changes == ["tasks 5: its name is cut to 255 characters"]


def test_all_else_stays_as_it_is() -> None:
    changes: list[str] = []
    given = Task(id=5, name="ä" * 255, priority=2**63 - 1)
    assert list(fitting([given], changes)) == [given]
    assert changes == []
