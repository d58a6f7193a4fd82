"""Each command gives the same output and the same exit code against either server."""

import difflib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from tests.cli.sides import BIN, Shown, Side, our_server, their_server
from tests.cli.transcript import (
    AFTER_IMPORT,
    AFTER_RESTART,
    BEFORE_RESTART,
    EVERY_FIELD,
    STEPS,
    Step,
)
from tests.site import Site, copy_site

pytestmark = pytest.mark.cli

Play = list[tuple[Step, Shown, Shown]]


class Played(NamedTuple):
    """What was shown for each step, and each format of an export as a file: theirs, ours."""

    steps: Play
    exports: dict[str, tuple[bytes, bytes]]


FORMATS = ("json", "csv", "markdown")
ALL = [*STEPS, *AFTER_IMPORT, *BEFORE_RESTART, *AFTER_RESTART]
# In an empty store even the audit logs are the same.
FIRST_DIFFERENT = 9

# What ours does otherwise, and means to.
FAILURES = "what was refused is in our audit log too, with the reason"
DIFFERENT = {
    "audit list": FAILURES,
    "audit list --task 1": FAILURES,
    "audit list --operation start_task": FAILURES,
    "audit list --client tester": FAILURES,
    "audit list --since 2026-01-01 --limit 3": FAILURES,
    "audit list --failed": FAILURES,
    "db restore tasks.json --yes": "ours says what is wrong with the file",
    "add After the restore": "ours gives no id twice",
    "start 8": "an archived task is read-only",
    "update 8 --name changed": "an archived task is read-only",
    "note 8 --content changed": "an archived task is read-only",
    "export --fields id,depends_on": "nothing of ours depends on a task that was deleted",
}


@pytest.fixture(scope="module")
def play(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """
    Type every step on both sides, with a restart of both servers where it belongs.

    In the middle, while their server runs, its data comes into a third server, which is ours.
    """
    assert (BIN / "taskdog").exists(), "make cli-test installs the command line"
    folder = tmp_path_factory.mktemp("cli")
    site, new_site = (copy_site(template_site, folder / name) for name in ("site", "new"))
    theirs, ours, imported = (
        Side(folder / name, site.key) for name in ("theirs", "ours", "imported")
    )
    for side in (theirs, ours, imported):
        side.folder.mkdir()
    with their_server(theirs), our_server(ours, site):
        played = type_(STEPS, theirs, ours)
        brought = new_site.manage("import_taskdog", str(theirs.database))
        assert "Changed on the way" not in brought.out, brought.out
        with our_server(imported, new_site):
            played += type_(AFTER_IMPORT, theirs, imported)
        exports = {name: export_both(name, theirs, new_site) for name in FORMATS}
        played += type_(BEFORE_RESTART, theirs, ours)
    with their_server(theirs), our_server(ours, site):
        return Played(played + type_(AFTER_RESTART, theirs, ours), exports)


def type_(steps: list[Step], theirs: Side, ours: Side) -> Play:
    """Type these on both sides at once."""
    played = []
    with ThreadPoolExecutor(2) as both:
        for each in steps:
            left, right = (
                both.submit(side.run, *each.arguments, stdin=each.stdin) for side in (theirs, ours)
            )
            played.append((each, left.result(), right.result()))
    return played


def export_both(name: str, theirs: Side, site: Site) -> tuple[bytes, bytes]:
    """Export every task and field into a file, by the command line and by ours."""
    arguments = ("--all", "--fields", EVERY_FIELD, "--format", name, "-o")
    left, right = theirs.folder / f"exported.{name}", site.data.parent / f"exported.{name}"
    assert theirs.run("export", *arguments, str(left)).code == 0
    assert site.manage("export_tasks", *arguments, str(right)).code == 0
    return left.read_bytes(), right.read_bytes()


@pytest.mark.parametrize("number", range(len(ALL)), ids=lambda number: f"{number}-{ALL[number]}")
def test_output_and_exit_code_are_the_same(play: Played, number: int) -> None:
    step, theirs, ours = play.steps[number]
    if str(step) in DIFFERENT and number > FIRST_DIFFERENT:
        assert ours != theirs, f"not different any more: {DIFFERENT[str(step)]}"
    else:
        assert not _difference(theirs, ours)


@pytest.mark.parametrize("name", FORMATS)
def test_our_own_export_is_the_command_line_s_byte_for_byte(play: Played, name: str) -> None:
    theirs, ours = play.exports[name]
    assert ours == theirs
    assert len(ours) > 1000


def _difference(theirs: Shown, ours: Shown) -> str:
    """The lines that are not the same; ``-`` theirs, ``+`` ours."""
    lines = [
        [f"exit code {shown.code}", *shown.out.splitlines(), "stderr:", *shown.err.splitlines()]
        for shown in (theirs, ours)
    ]
    changed = difflib.unified_diff(lines[0], lines[1], "theirs", "ours", lineterm="", n=0)
    return "\n".join(changed) if theirs != ours else ""
