"""Each command gives the same output and the same exit code against either server."""

import difflib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.sides import BIN, Shown, Side, our_server, their_server
from tests.cli.transcript import AFTER_RESTART, BEFORE_RESTART, STEPS, Step
from tests.site import Site, copy_site

pytestmark = pytest.mark.cli

Play = list[tuple[Step, Shown, Shown]]
ALL = [*STEPS, *BEFORE_RESTART, *AFTER_RESTART]

# What ours does otherwise, and means to: by the place in the list.
DIFFERENT: dict[int, str] = {}


@pytest.fixture(scope="module")
def play(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Type every step on both sides, with a restart of both servers where it belongs."""
    assert (BIN / "taskdog").exists(), "make cli-test installs the command line"
    folder = tmp_path_factory.mktemp("cli")
    site = copy_site(template_site, folder / "site")
    theirs, ours = Side(folder / "theirs", site.key), Side(folder / "ours", site.key)
    for side in (theirs, ours):
        side.folder.mkdir()
    played: Play = []
    with ThreadPoolExecutor(2) as both:

        def type_(steps: list[Step]) -> None:
            for each in steps:
                shown = [
                    both.submit(side.run, *each.arguments, stdin=each.stdin)
                    for side in (theirs, ours)
                ]
                played.append((each, shown[0].result(), shown[1].result()))

        with their_server(theirs), our_server(ours, site):
            type_([*STEPS, *BEFORE_RESTART])
        with their_server(theirs), our_server(ours, site):
            type_(AFTER_RESTART)
    return played


@pytest.mark.parametrize("number", range(len(ALL)), ids=lambda number: f"{number}-{ALL[number]}")
def test_output_and_exit_code_are_the_same(play: Play, number: int) -> None:
    _, theirs, ours = play[number]
    if number in DIFFERENT:
        assert ours != theirs, f"not different any more: {DIFFERENT[number]}"
    else:
        assert not _difference(theirs, ours)


def _difference(theirs: Shown, ours: Shown) -> str:
    """The lines that are not the same; ``-`` theirs, ``+`` ours."""
    lines = [
        [f"exit code {shown.code}", *shown.out.splitlines(), "stderr:", *shown.err.splitlines()]
        for shown in (theirs, ours)
    ]
    changed = difflib.unified_diff(*lines, "theirs", "ours", lineterm="", n=0)
    return "\n".join(changed) if theirs != ours else ""
