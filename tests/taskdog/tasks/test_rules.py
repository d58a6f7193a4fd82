"""The whole status machine, from every status, by every way."""

from collections.abc import Callable
from datetime import datetime

import pytest

from taskdog.tasks import services
from taskdog.tasks.exceptions import (
    ArchivedTaskError,
    InvalidStatusError,
    InvalidTagsError,
    InvalidTaskError,
)
from taskdog.tasks.models import Task, TaskDependency, TaskStatus
from taskdog.tasks.rules import VERBS, check_tags, check_times

pytestmark = pytest.mark.django_db

START = datetime.fromisoformat("2026-01-05T09:00:00")
END = datetime.fromisoformat("2026-01-05T17:30:00")

ALREADY = "Cannot {verb} task {id}: task is already {status}"
NOT_STARTED = (
    "Cannot complete task {id}: task is PENDING. Start the task first with 'taskdog start {id}'"
)
NOT_FINISHED = (
    "Cannot reopen task with status {status}. Only COMPLETED or CANCELED tasks can be reopened. "
    "Use 'restore' command for archived tasks."
)

# From a status, by a verb: the status after it, or why not.
STEPS = {
    ("PENDING", "start"): "IN_PROGRESS",
    ("PENDING", "complete"): NOT_STARTED,
    ("PENDING", "cancel"): "CANCELED",
    ("PENDING", "pause"): "PENDING",
    ("PENDING", "reopen"): NOT_FINISHED,
    ("IN_PROGRESS", "start"): ALREADY,
    ("IN_PROGRESS", "complete"): "COMPLETED",
    ("IN_PROGRESS", "cancel"): "CANCELED",
    ("IN_PROGRESS", "pause"): "PENDING",
    ("IN_PROGRESS", "reopen"): NOT_FINISHED,
    ("COMPLETED", "start"): ALREADY,
    ("COMPLETED", "complete"): ALREADY,
    ("COMPLETED", "cancel"): ALREADY,
    ("COMPLETED", "pause"): ALREADY,
    ("COMPLETED", "reopen"): "PENDING",
    ("CANCELED", "start"): ALREADY,
    ("CANCELED", "complete"): ALREADY,
    ("CANCELED", "cancel"): ALREADY,
    ("CANCELED", "pause"): ALREADY,
    ("CANCELED", "reopen"): "PENDING",
}
TARGETS = {verb: status for status, verb in VERBS.items()}

Step = Callable[[Task, str], Task]


def by_service(task: Task, verb: str) -> Task:
    change: services.Change = getattr(services, f"{verb}_task")
    return change(task.pk, client_name="ann")


def by_update(task: Task, verb: str) -> Task:
    changes = {"status": TARGETS[verb].value}
    return services.update_task(task.pk, changes=changes, client_name="ann").task


def make(status: str, **fields: object) -> Task:
    return Task.objects.create(name="Write", status=status, **fields)


@pytest.mark.parametrize(
    ("step", "before", "verb"),
    [(by_service, before, verb) for before, verb in STEPS]
    + [(by_update, before, verb) for before, verb in STEPS if verb != "reopen"],
)
def test_every_step_leads_where_it_should_or_is_refused_in_words(
    step: Step, before: str, verb: str
) -> None:
    task = make(before)
    result = STEPS[before, verb]
    if result in TaskStatus.values:
        assert step(task, verb).status == result
    else:
        with pytest.raises(InvalidStatusError) as refused:
            step(task, verb)
        assert str(refused.value) == result.format(verb=verb, id=task.pk, status=before)
        result = before
    assert Task.objects.get().status == result


@pytest.mark.parametrize("step", [by_service, by_update])
def test_a_start_and_an_end_are_noted_once(step: Step) -> None:
    task = step(make("PENDING"), "start")
    started = task.actual_start
    assert started is not None
    assert (task.actual_end, task.updated_at >= started) == (None, True)
    task = step(task, "complete")
    assert task.actual_start == started
    assert task.actual_end is not None
    assert task.actual_end >= started


@pytest.mark.parametrize("step", [by_service, by_update])
def test_times_that_were_entered_stay(step: Step) -> None:
    assert step(make("PENDING", actual_start=START), "start").actual_start == START
    assert step(make("IN_PROGRESS", actual_end=END), "complete").actual_end == END
    assert step(make("IN_PROGRESS", actual_end=END), "cancel").actual_end == END


@pytest.mark.parametrize(
    ("step", "before", "verb"),
    [
        (by_service, "IN_PROGRESS", "pause"),
        (by_update, "IN_PROGRESS", "pause"),
        (by_service, "PENDING", "pause"),
        (by_service, "COMPLETED", "reopen"),
        (by_service, "CANCELED", "reopen"),
    ],
)
def test_what_is_pending_again_has_no_actual_times(step: Step, before: str, verb: str) -> None:
    task = make(before, actual_start=START, actual_end=END, actual_duration=3.5)
    step(task, verb)
    stored = Task.objects.get()
    assert (stored.actual_start, stored.actual_end, stored.actual_duration) == (None, None, None)


@pytest.mark.parametrize("step", [by_service, by_update])
def test_a_task_waits_for_all_that_it_depends_on(step: Step) -> None:
    task, done, open_, canceled = (
        make(status) for status in ("PENDING", "COMPLETED", "IN_PROGRESS", "CANCELED")
    )
    for other in (canceled, done, open_):
        TaskDependency.objects.create(task=task, depends_on=other)
    with pytest.raises(InvalidStatusError) as refused:
        step(task, "start")
    assert str(refused.value) == (
        f"Cannot start task {task.pk}: dependencies not met. "
        f"Complete task(s) {canceled.pk}, {open_.pk} first."
    )
    Task.objects.exclude(pk=task.pk).update(status="COMPLETED")
    assert step(task, "start").status == "IN_PROGRESS"


def test_a_task_is_reopened_whatever_it_waits_for() -> None:
    task, other = make("COMPLETED"), make("PENDING")
    TaskDependency.objects.create(task=task, depends_on=other)
    assert by_service(task, "reopen").status == "PENDING"


CHANGES: dict[str, Callable[[int], object]] = {
    "start": lambda pk: services.start_task(pk, client_name=None),
    "complete": lambda pk: services.complete_task(pk, client_name=None),
    "pause": lambda pk: services.pause_task(pk, client_name=None),
    "cancel": lambda pk: services.cancel_task(pk, client_name=None),
    "reopen": lambda pk: services.reopen_task(pk, client_name=None),
    "update": lambda pk: services.update_task(pk, changes={"name": "x"}, client_name=None),
    "fix": lambda pk: services.fix_actual_times(
        pk, changes={"actual_start": START}, client_name=None
    ),
    "tags": lambda pk: services.set_tags(pk, tags=["x"], client_name=None),
    "notes": lambda pk: services.write_notes(pk, content="x", client_name=None),
    "notes away": lambda pk: services.delete_notes(pk, client_name=None),
    "dependency": lambda pk: services.add_dependency(pk, depends_on_id=1, client_name=None),
    "dependency away": lambda pk: services.remove_dependency(pk, depends_on_id=1, client_name=None),
}


@pytest.mark.parametrize("status", TaskStatus.values)
@pytest.mark.parametrize("change", CHANGES)
def test_an_archived_task_is_read_only(change: str, status: str) -> None:
    make("PENDING", pk=1)
    task = make(status, is_archived=True)
    before = Task.objects.values().get(pk=task.pk)
    with pytest.raises(ArchivedTaskError) as refused:
        CHANGES[change](task.pk)
    assert str(refused.value) == (
        f"Task {task.pk} is archived and cannot be changed. "
        f"Restore it first with 'taskdog restore {task.pk}'"
    )
    assert Task.objects.values().get(pk=task.pk) == before


def test_a_task_may_wait_for_an_archived_one() -> None:
    task, other = make("PENDING"), make("COMPLETED", is_archived=True)
    services.add_dependency(task.pk, depends_on_id=other.pk, client_name=None)
    assert by_service(task, "start").status == "IN_PROGRESS"


@pytest.mark.parametrize("times", [(None, None), (START, None), (None, END), (START, START)])
def test_times_that_do_not_run_backwards_are_fine(times: tuple[datetime, datetime]) -> None:
    check_times(*times)


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(InvalidTaskError) as refused:
        check_times(END, START)
    assert str(refused.value) == (
        "actual_end (2026-01-05 09:00:00) must be >= actual_start (2026-01-05 17:30:00)"
    )


def test_twenty_tags_of_fifty_letters_are_fine() -> None:
    check_tags([f"{number:050}" for number in range(20)])
    with pytest.raises(InvalidTagsError):
        check_tags([f"{number:050}" for number in range(21)])
