"""The pieces that the benchmark is made of: what they measure is there. ``.ci/run`` runs it all."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.downloads import COMPACT, PAGES, STATIC, Result
from benchmarks.memory import Peak
from benchmarks.rollback import measure_rollback
from benchmarks.samples import LeftOutError, Sample, median, run_client, run_command
from benchmarks.starts import Starts
from benchmarks.stores import Store, fill
from benchmarks.tables import downloads_table, growth_table, rollback_table, uploads_table
from benchmarks.uploads import BY_HAND, RAW
from benchmarks.writer import Writer
from tests.backups import builders
from tests.processes import CHECKOUT
from tests.site import Site

pytestmark = pytest.mark.proof

MEGABYTE = 10**6


@pytest.fixture
def filled(site: Site) -> Site:
    with closing(sqlite3.connect(site.database, isolation_level=None)) as connection:
        fill(connection, MEGABYTE)
    return site


def test_store_has_the_size_and_the_rows_of_a_real_one(filled: Site) -> None:
    assert MEGABYTE <= filled.database.stat().st_size < 2 * MEGABYTE
    with closing(sqlite3.connect(filled.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("tasks", "notes", "audit_logs", "task_tags", "django_session"):
            (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert rows > 50, table


def test_writer_tells_what_it_committed_and_what_kept_it_waiting(filled: Site) -> None:
    with (
        Writer(filled.database) as writer,
        closing(sqlite3.connect(filled.database, isolation_level=None)) as other,
    ):
        start = time.monotonic()
        other.execute("BEGIN IMMEDIATE")
        held = time.monotonic()
        while time.monotonic() < held + 0.3:
            pass
        other.execute("COMMIT")
        let_go = time.monotonic()
        while time.monotonic() < let_go + 0.3:
            pass
        end = time.monotonic()
    assert writer.between(held, let_go).a_second < 10
    assert writer.between(start, end).slowest > 0.25
    assert writer.between(let_go, end).a_second > 50


def test_peak_is_what_a_process_and_its_children_have_for_themselves() -> None:
    script = "import sys; input(); block = bytearray(30_000_000); print(len(block)); input()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with Peak(process.pid) as peak:
            process.stdin.write("\n")
            process.stdin.flush()
            process.stdout.readline()
            end = time.monotonic() + 20
            while peak.above_idle < 30_000_000 and time.monotonic() < end:
                pass
        process.stdin.write("\n")
    assert 30_000_000 <= peak.above_idle < 40_000_000


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("no-such-program",), "there is no no-such-program here"),
        (("sh", "-c", "echo no room >&2; exit 3"), "it failed: no room"),
    ],
)
def test_what_can_not_be_run_is_left_out_with_the_reason(
    command: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(LeftOutError, match=reason):
        run_command(*command)


def test_client_downloads_uploads_and_tells_what_the_server_refused(
    filled: Site, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with filled.serving() as server:
        api = f"{server.url}/api/v1"
        came = run_client(f"{api}/backup", filled.key, f"--output={copy}")
        assert came.first is not None
        assert 0 < came.first <= came.seconds
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        for options in ((), ("--form",)):
            run_client(f"{api}/restore", filled.key, f"--upload={copy}", *options)
            assert server.api("DELETE", "restore").status_code == 200
        for key in ("no key", "-begins-as-an-option"):  # as one key in 64 does
            with pytest.raises(LeftOutError, match="401"):
                run_client(f"{api}/backup", key)


def test_median_is_of_each_figure_and_the_slowest_write_the_highest() -> None:
    several = [
        Sample(seconds, 0.0, first=first, server=server, slowest=slowest)
        for seconds, first, server, slowest in ((1, 9, 5, 1), (2, 8, 7, 3), (9, 7, 6, 2))
    ]
    assert median(several) == Sample(2, 0.0, first=8, server=7, slowest=3)


def test_tables_tell_ratios_and_what_is_left_out() -> None:
    downloads = [
        Result(STATIC, Sample(1.0, 0.0, first=0.004)),
        Result(PAGES, Sample(1.25, 0.0, first=0.02, server=5 * MEGABYTE, kept=0.9, slowest=0.1)),
        Result(COMPACT, Sample(10.0, 0.0)),
        Result("cp", None, "there is no cp here"),
    ]
    uploads = [Result(BY_HAND, Sample(2.0, 0.0)), Result(RAW, Sample(2.4, 0.0))]
    table = downloads_table(downloads, 500 * MEGABYTE)
    assert "| our pages over HTTP | 1.25 | 400 | 0.80 | 8.00 | 20 | 5.0 | – | 0.90 | 100 (–) |" in (
        table
    )
    assert "- cp: there is no cp here" in table
    assert "| upload and stage, raw body | 2.40 | 208 | 1.20 | – | – |" in (
        uploads_table(uploads, 500 * MEGABYTE)
    )
    grown = growth_table({MEGABYTE: downloads}, {MEGABYTE: uploads}, {MEGABYTE: Starts(1, 2, 0.9)})
    assert "| … and the rest, s | 0.10 |" in grown
    assert f"| {COMPACT}, s | 10.00 |" in grown


def test_options_are_told() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in ("--size", "--rounds", "--dbbackup", "--results"):
        assert option in told


def test_each_snapshot_in_rollback_mode_is_told_with_what_a_writer_felt(filled: Site) -> None:
    before = builders.folder(filled.database.parent)
    results = measure_rollback(Store(filled.database.parent, ""), rounds=1)
    table = rollback_table(results, MEGABYTE)
    assert [line.split("|")[1].strip() for line in table[2:]] == [
        *("VACUUM INTO", "our compact copy", "our pages")
    ]
    assert all(result.sample and result.sample.slowest for result in results)
    assert builders.folder(filled.database.parent) == before
