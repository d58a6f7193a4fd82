"""What the machine limits or refuses: a good file is good all the same, or the limit is named."""

import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from backups.processes import limits
from backups.sqlite.folder.paths import StorePaths
from tests.backups import builders, denied
from tests.backups.waiting import until

pytestmark = pytest.mark.proof  # real processes, each under a limit of its own

CHECK = """
import os, resource, sys
from pathlib import Path
from backups.sqlite.site import Live
from backups.sqlite.checking.check import check_snapshot
from tests.backups.stand_ins import FakeSite
{first}
path = Path(sys.argv[1])
try:
    contents = check_snapshot(
        os.open(path, os.O_RDONLY), path, seconds=60, site=FakeSite(), live=Live()
    )
except Exception as error:
    resource.setrlimit(resource.RLIMIT_AS, resource.getrlimit(resource.RLIMIT_AS)[1:] * 2)
    print(type(error).__name__, error, error.hint)
else:
    print(*contents.migrations)
"""
GOOD = " ".join(builders.MIGRATIONS) + "\n"


def check(path: Path, *before: str, first: str = "") -> str:
    """What a process says of the file that has begun with ``first``."""
    words = [sys.executable, *before, "-c", textwrap.dedent(CHECK.format(first=first)), str(path)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout or ended.stderr


def lowered(kind: str, most: int, hard: int | None = None) -> str:
    return f"resource.setrlimit(resource.{kind}, ({most}, {most if hard is None else hard}))"


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("RLIMIT_CORE", 0),
        ("RLIMIT_AS", 500 * 1024**2),
        ("RLIMIT_CPU", 30),
        ("RLIMIT_CPU", 1),
        ("RLIMIT_NOFILE", 40),
        ("RLIMIT_FSIZE", 1024**2),
    ],
)
def test_hard_limit_below_ours_stays_and_the_file_is_good(
    kind: str, most: int, tmp_path: Path
) -> None:
    assert check(builders.healthy(tmp_path / "x.db"), first=lowered(kind, most)) == GOOD


@pytest.mark.parametrize(
    "calls",
    [
        "setpriority",
        "setrlimit",
        "prlimit64",
        "setpriority,setrlimit,prlimit64,sched_getaffinity,landlock_create_ruleset",
    ],
)
def test_filter_that_forbids_limits_leaves_a_good_file_good(calls: str, tmp_path: Path) -> None:
    path = builders.healthy(tmp_path / "x.db")
    assert check(path, denied.__file__, calls) == GOOD


def test_filter_that_forbids_niceness_lets_a_snapshot_of_the_pages_be_sent(tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from backups.sqlite.snapshots.pages import create_page_snapshot
        from backups.sqlite.folder.paths import StorePaths
        paths = StorePaths.of(Path(sys.argv[1]))
        with create_page_snapshot(paths, spool_after=60, stall_seconds=60, presence=None) as sent:
            assert sum(map(len, sent)) == sent.size
    """
    database = builders.healthy(tmp_path / "tasks.db", journal_mode="wal")
    words = [sys.executable, denied.__file__, "setpriority", "-c", textwrap.dedent(script)]
    subprocess.run([*words, str(database)], timeout=60, check=True)
    sent = StorePaths.of(database).sent
    until(sent.exists)  # so the process came to its end, and has recorded what it sent


def test_address_space_that_does_not_suffice_is_named_and_no_damage(tmp_path: Path) -> None:
    """100 MiB: Python starts, and the row does not fit."""
    path = builders.long_row(tmp_path / "x.db", 120_000_000)
    said = check(path, first=lowered("RLIMIT_AS", 100 * 1024**2))
    assert said.startswith(
        "ChildFailedError The check of the file ran out of memory: this service is limited to"
        " 100 MiB of address space (ulimit -v). Nothing was changed."
    )


def test_file_system_like_limits_are_described_only_if_they_are_low() -> None:
    script = f"""
        import resource
        from backups.processes import limits
        {lowered("RLIMIT_AS", 3 * 1024**2, resource.RLIM_INFINITY)}
        {lowered("RLIMIT_CPU", 60)}
        {lowered("RLIMIT_NOFILE", 1024)}
        described = limits.describe()
        {lowered("RLIMIT_AS", resource.RLIM_INFINITY)}
        print(described)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert ended.stdout == (
        "3 MiB of address space (ulimit -v), 60 seconds of processor time (ulimit -t)\n"
    )


def test_used_address_space_is_what_the_system_says() -> None:
    assert 1024**2 < limits.used_address_space() < 1024**4
