"""
What is typed at the command line: every command that our server is to answer as its own does.

One list, from an empty store on: a step may rely on those before it.
"""

from typing import NamedTuple

FUTURE = "2030-01-15 18:00:00"  # a Tuesday
PLAN = ("--start", "2030-01-14 09:00:00", "--end", "2030-01-16 18:00:00")


class Step(NamedTuple):
    """A command with its arguments, and what it reads from standard input."""

    arguments: tuple[str, ...]
    stdin: str = ""

    def __str__(self) -> str:
        return " ".join(self.arguments)


def step(*arguments: str, stdin: str = "") -> Step:
    return Step(arguments, stdin)


STEPS = [
    # An empty store
    step("list"),
    step("ls"),
    step("show", "1"),
    step("tag", "list"),
    step("timeline"),
    step("audit", "list"),
    *(step("export", "--format", name) for name in ("json", "csv", "markdown")),
    # add
    step("add", "Write the report"),
    step("add", "Größe “messen”", "-p", "9", "-t", "work", "-t", "größe"),
    step("add", "Deploy", "-d", "1", "-d", "2", "-t", "work", "--fixed"),
    step("add", "Plan", "-e", "6", "-D", FUTURE, *PLAN),
    step("add", "Depends on nothing", "-d", "99"),
    step("add", "Depends twice", "-d", "1", "-d", "1"),
    step("add", "   "),
    step("add", ""),
    step("add", "x" * 256),
    step("add", "No priority", "-p", "0"),
    step("add", "Negative", "-e", "-1"),
    step("add", "Past", "-D", "2020-01-01 10:00:00"),
    step("add", "Past plan", "--start", "2020-01-01 10:00:00"),
    step("add", "Blank tag", "-t", " "),
    step("add", "Twice", "-t", "a", "-t", "a"),
    step("add", "Long tag", "-t", "t" * 51),
    step(
        "add",
        "Reversed",
        "-e",
        "2",
        "--start",
        "2030-02-02 10:00:00",
        "--end",
        "2030-02-01 10:00:00",
    ),
    step(
        "add",
        "Weekend",
        "-e",
        "3",
        "--start",
        "2030-01-19 09:00:00",
        "--end",
        "2030-01-20 18:00:00",
    ),
    # list, show
    step("list"),
    step("list", "--all"),
    step("list", "-t", "work"),
    step("list", "-t", "work", "-t", "größe", "--status", "pending"),
    step("list", "--status", "completed"),
    step("list", "--status", "lost"),
    *(
        step("list", "--sort", key, *reverse)
        for key in ("priority", "deadline", "name", "status", "planned_start", "created_at")
        for reverse in ((), ("--reverse",))
    ),
    step("list", "-f", "id,name,tags,depends_on,is_fixed,estimated_duration"),
    step("list", "-s", "2030-01-01", "-e", "2030-01-31"),
    step("list", "-s", "2030-01-16", "-e", "2030-01-16"),
    step("list", "-e", "2029-01-01"),
    step("show", "1"),
    step("show", "3"),
    step("show", "4"),
    step("show", "99"),
    step("show", "x"),
    # update
    step("update", "1", "--name", "Write the long report", "--priority", "8"),
    step("update", "1", "--deadline", FUTURE, "--estimated-duration", "4.5"),
    step(
        "update",
        "1",
        "--planned-start",
        "2030-01-14 09:00:00",
        "--planned-end",
        "2030-01-15 18:00:00",
    ),
    step("update", "1"),
    step("update", "1", "--name", " "),
    step("update", "1", "--priority", "-3"),
    step("update", "1", "--deadline", "2020-01-01 10:00:00"),
    step("update", "1", "--status", "completed"),
    step("update", "99", "--name", "nobody"),
    step("update", "5", "--status", "in_progress"),
    step("update", "5", "--status", "pending"),
    step("show", "1"),
    # lifecycle
    step("start", "3"),
    step("start", "1"),
    step("start", "1"),
    step("start", "1", "2", "99"),
    step("pause", "2"),
    step("pause", "2"),
    step("done", "2"),
    step("done", "1"),
    step("done", "1"),
    step("pause", "1"),
    step("cancel", "1"),
    step("start", "3"),
    step("start", "2"),
    step("done", "2"),
    step("start", "3"),
    step("cancel", "4", "5"),
    step("cancel", "4"),
    step("reopen", "4", "3"),
    step("reopen", "5"),
    step("start", "x"),
    step("list", "--all"),
    # fix-times
    step("fix-times", "1", "--start", "2030-01-14 09:00:00", "--end", "2030-01-14 12:00:00"),
    step("fix-times", "1", "--duration", "2.25"),
    step("fix-times", "1", "--duration", ""),
    step("fix-times", "1", "--start", "2030-01-14 13:00:00"),
    step("fix-times", "1", "--start", "", "--end", ""),
    step("fix-times", "1"),
    step("fix-times", "1", "--duration", "0"),
    step("fix-times", "99", "--duration", "1"),
    step("show", "1"),
    # dep
    step("dep", "add", "4", "1"),
    step("dep", "add", "4", "1"),
    step("dep", "add", "4", "4"),
    step("dep", "add", "1", "3"),
    step("dep", "add", "1", "4"),
    step("dep", "add", "4", "99"),
    step("dep", "add", "99", "4"),
    step("dep", "rm", "4", "99"),
    step("dep", "rm", "4", "1"),
    step("dep", "rm", "99", "1"),
    # tag
    step("tag", "list"),
    step("tag", "list", "2"),
    step("tag", "list", "1"),
    step("tag", "list", "99"),
    step("tag", "set", "1", "urgent", "work"),
    step("tag", "set", "2"),
    step("tag", "set", "1", "a", "a"),
    step("tag", "set", "1", " "),
    step("tag", "set", "99", "a"),
    step("tag", "set", "1", *(f"t{number}" for number in range(21))),
    step("tag", "list"),
    step("tag", "rm", "work"),
    step("tag", "rm", "work"),
    step("tag", "rm", "größe"),
    step("tag", "list"),
    # note
    step("note", "1", "--content", "# Title\n\nText — ünïcode"),
    step("note", "1", "--append", "--content", "more"),
    step("note", "2", stdin="from standard input\n"),
    step("note", "4", "--content", ""),
    step("note", "1", "--file", "missing.md"),
    step("note", "99", "--content", "x"),
    step("show", "1"),
    step("show", "2"),
    step("list", "--all", "-f", "id,name,has_notes"),
    # rm, restore
    step("rm", "5", "6"),
    step("rm", "5"),
    step("list"),
    step("list", "--all"),
    step("restore", "5", "6"),
    step("restore", "5"),
    step("restore", "99"),
    step("show", "5"),
    step("add", "A whole life", "-p", "3", "-t", "life"),
    step("update", "9", "--name", "A long life", "--priority", "4", "--deadline", FUTURE),
    step("update", "9", "--estimated-duration", "2.5", "--status", "in_progress"),
    step("pause", "9"),
    step("start", "9"),
    step("done", "9"),
    step("reopen", "9"),
    step("fix-times", "9", "--start", "2030-01-14 09:00:00", "--duration", "1.5"),
    step("tag", "set", "9", "life", "more"),
    step("dep", "add", "9", "1"),
    step("dep", "rm", "9", "1"),
    step("note", "9", "--content", "remember"),
    step("cancel", "9"),
    step("rm", "9"),
    step("restore", "9"),
    step("tag", "rm", "more"),
    step("show", "9"),
    step("audit", "list", "--task", "9"),
    step("audit", "list", "--operation", "update_notes"),
    step("add", "To be deleted", "-t", "gone"),
    step("dep", "add", "10", "1"),
    step("note", "10", "--content", "gone too"),
    step("rm", "--hard", "10"),
    step("rm", "--hard", "10"),
    step("rm", "99"),
    step("show", "10"),
    step("tag", "list"),
    # timeline, audit
    step("timeline"),
    step("timeline", "-d", "2030-01-14"),
    step("audit", "list"),
    step("audit", "list", "--task", "1"),
    step("audit", "list", "--operation", "start_task"),
    step("audit", "list", "--client", "tester"),
    step("audit", "list", "--client", "nobody"),
    step("audit", "list", "--since", "2026-01-01", "--limit", "3"),
    step("audit", "list", "--until", "2020-01-01"),
    step("audit", "list", "--failed"),
    # export
    *(step("export", "--format", name) for name in ("json", "csv", "markdown")),
    *(
        step("export", "--format", name, "--all", "--fields", fields)
        for name in ("json", "csv", "markdown")
        for fields in (
            "id,name,status,updated_at,is_fixed,is_archived,is_finished,has_notes,depends_on,tags,"
            "daily_allocations,actual_duration_hours",
        )
    ),
    step("export", "-o", "tasks.json"),
    step("export", "--status", "pending", "--tag", "urgent"),
    step("export", "-s", "2030-01-01", "-e", "2030-01-31", "--format", "csv"),
    step("export", "--fields", "id,colour"),
    # db
    step("db", "backup", "-o", "backup.db"),
    step("db", "backup", "-o", "missing/backup.db"),
    step("db", "restore", "missing.db", "--yes"),
    step("db", "restore", "backup.db", stdin="n\n"),
]
BEFORE_RESTART = [
    step("rm", "--hard", "7", "8"),
    step("list", "--all"),
    step("db", "restore", "backup.db", "--yes"),
    step("list", "--all"),
]
AFTER_RESTART = [
    step("list", "--all"),
    step("show", "1"),
    step("show", "2"),
    step("tag", "list"),
    step("export", "--all"),
    # What ours does otherwise, from here on
    step("db", "restore", "tasks.json", "--yes"),
    step("add", "After the restore"),
    step("rm", "8"),
    step("start", "8"),
    step("update", "8", "--name", "changed"),
    step("note", "8", "--content", "changed"),
    step("dep", "add", "6", "7"),
    step("rm", "--hard", "7"),
    step("export", "--fields", "id,depends_on"),
]
EVERY_FIELD = (
    "id,name,priority,status,created_at,updated_at,planned_start,planned_end,deadline,actual_start,"
    "actual_end,estimated_duration,actual_duration_hours,is_fixed,is_archived,is_finished,"
    "has_notes,depends_on,tags,daily_allocations"
)
AFTER_IMPORT = [
    step("list", "--all"),
    step("tag", "list"),
    step("audit", "list", "--limit", "1000"),
    step("timeline", "-d", "2030-01-14"),
    step("export", "--all", "--fields", EVERY_FIELD),
    *(step("show", str(task_id)) for task_id in range(1, 11)),
]
