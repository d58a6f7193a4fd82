"""The pieces that the benchmark is made of: what they measure is there. ``.ci/run`` runs it all."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.both import measure_both
from benchmarks.downloads import COMPACT, PAGES, STATIC
from benchmarks.memory import Peak
from benchmarks.peers import Peer, Peers
from benchmarks.peers.together import PEERS, running_peers
from benchmarks.rollback import measure_rollback
from benchmarks.rounds import Candidate, Result, run_rounds
from benchmarks.rows import AGED, ONE_INDEX, SHAPES, TASKDOG, fill
from benchmarks.samples import (
    EndlessError,
    LeftOutError,
    Sample,
    median,
    run_client,
    run_command,
)
from benchmarks.starts import Starts
from benchmarks.stores import Store
from benchmarks.tables import downloads_table, growth_table, rollback_table, uploads_table
from benchmarks.uploads import BY_HAND, RAW, SENT, THEIRS, measure_uploads
from benchmarks.writer import Writer
from tests.backups import builders
from tests.postgres import programs
from tests.processes import CHECKOUT
from tests.site import Site

pytestmark = pytest.mark.proof

MEGABYTE = 10**6


@pytest.fixture
def filled(site: Site) -> Site:
    with closing(sqlite3.connect(site.database, isolation_level=None)) as connection:
        fill(connection, MEGABYTE)
    return site


@pytest.mark.parametrize("shape", SHAPES)
def test_store_has_the_size_and_the_rows_of_a_real_one(site: Site, shape: str) -> None:
    with closing(sqlite3.connect(site.database, isolation_level=None)) as connection:
        fill(connection, MEGABYTE, shape)
    assert MEGABYTE <= site.database.stat().st_size < 2 * MEGABYTE
    with closing(sqlite3.connect(site.database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("tasks", "notes", "audit_logs", "task_tags", "django_session"):
            (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert rows > 50, table


def test_same_size_and_shape_give_the_same_rows(filled: Site) -> None:
    def rows() -> list[object]:
        with closing(sqlite3.connect(filled.database, isolation_level=None)) as connection:
            found = connection.execute("SELECT * FROM notes").fetchall()
            found += connection.execute("SELECT * FROM audit_logs").fetchall()
            for table in ("task_tags", "notes", "audit_logs", "tasks", "tags", "django_session"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("DELETE FROM sqlite_sequence")
            connection.execute("VACUUM")
            fill(connection, MEGABYTE)
            return found

    assert rows() == rows()


@pytest.mark.parametrize(("shape", "is_in_order"), [(TASKDOG, True), (AGED, False)])
def test_audit_log_is_in_the_order_of_its_tasks_or_not(
    site: Site, shape: str, is_in_order: bool
) -> None:
    with closing(sqlite3.connect(site.database, isolation_level=None)) as connection:
        fill(connection, MEGABYTE, shape)
        ids = [
            id_ for (id_,) in connection.execute("SELECT resource_id FROM audit_logs ORDER BY id")
        ]
        times = [at for (at,) in connection.execute("SELECT timestamp FROM audit_logs ORDER BY id")]
    assert times == sorted(times)
    assert (ids == sorted(ids)) == is_in_order
    assert len(set(ids)) > len(ids) / 10


def test_store_with_one_index_has_no_table_with_two(site: Site) -> None:
    with closing(sqlite3.connect(site.database, isolation_level=None)) as connection:
        fill(connection, MEGABYTE, ONE_INDEX)
        counts = connection.execute(
            "SELECT tbl_name, count(*) FROM sqlite_schema WHERE type = 'index' GROUP BY 1"
        ).fetchall()
    assert len(counts) > 5
    assert {count for _, count in counts} == {1}


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


def test_page_that_two_share_since_a_fork_counts_once_until_one_of_them_writes_to_it() -> None:
    script = (
        "import mmap, os; block = mmap.mmap(-1, 30_000_000, mmap.MAP_PRIVATE)\n"
        "block.write(b'x' * len(block)); print(); input(); child = os.fork()\n"
        "if not child: block[: 10_000_000] = b'y' * 10_000_000\n"
        "if not child: print(flush=True); os.read(0, 1); os._exit(0)\n"
        "os.waitpid(child, 0)"
    )
    command = [sys.executable, "-u", "-c", script]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        with Peak(process.pid) as peak:
            process.stdin.write("\n")
            process.stdin.flush()
            process.stdout.readline()
            end = time.monotonic() + 20
            while peak.above_idle < 10_000_000 and time.monotonic() < end:
                pass
        process.stdin.write("\n")
    assert 10_000_000 <= peak.above_idle < 29_000_000


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


def test_each_candidate_is_run_in_turn_and_one_that_fails_is_left_out(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sync", int)  # other tests write, too
    run: list[str] = []

    def works() -> Sample:
        run.append("works")
        return Sample(0.1, time.monotonic())

    def fails() -> Sample:
        run.append("fails")
        raise LeftOutError("no room")

    def is_endless() -> Sample:
        run.append("is endless")
        if run.count("is endless") % 2 == 0:
            raise EndlessError("not at its end")
        return works()

    results = run_rounds(
        [
            Candidate("works", works, filled.database),
            Candidate("fails", fails),
            Candidate("is endless", is_endless, filled.database),
        ],
        rounds=2,
    )
    assert [(each.name, each.reason) for each in results] == [
        *(("works", ""), ("fails", "no room")),
        ("is endless", "not at its end beside the writer"),
    ]
    assert run.count("fails") == 1
    assert results[0].sample is not None
    assert results[0].sample.kept is not None
    assert results[2].sample is not None
    assert results[2].sample.kept is None


def test_peer_that_can_not_be_had_is_left_out_with_the_reason(tmp_path: Path) -> None:
    (requirements := tmp_path / "peer.txt").write_text("no-such-file.whl --hash=sha256:0\n")
    with pytest.raises(LeftOutError, match="no-such-file"):
        Peers(tmp_path).program(Peer("peer", requirements))
    with pytest.raises(LeftOutError, match=r"no Python 3\.99"):
        Peers(tmp_path).program(Peer("other", requirements, python=99))
    (tmp_path / "copy.db").touch()
    with running_peers(Peers(None), tmp_path / "copy.db", lambda peer: peer.downloads()) as found:
        assert found == (
            [],
            [Result(name, None, "no folder for its environment was named") for name in PEERS],
        )


def test_uploads_are_told_with_what_a_writer_felt_and_what_the_server_took(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sync", int)  # other tests write, too
    results = measure_uploads(
        Store(filled.database.parent, filled.key), rounds=1, peers=Peers(None)
    )
    samples = {each.name: each.sample for each in results if each.sample}
    assert next(iter(samples)) == BY_HAND
    assert list(samples)[-1] == SENT
    assert all(sample.slowest for sample in samples.values())
    assert samples[RAW].server


def test_where_there_is_no_postgresql_its_part_is_left_out(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "found", dict)
    with pytest.raises(LeftOutError, match="no PostgreSQL"):
        measure_both(Store(filled.data, filled.key), rounds=1)


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
    uploads = [
        Result(BY_HAND, Sample(2.0, 0.0)),
        Result(RAW, Sample(2.4, 0.0, server=9 * MEGABYTE, kept=0.7)),
        Result(THEIRS, Sample(6.0, 0.0)),
    ]
    table = downloads_table(downloads, 500 * MEGABYTE)
    assert "| our pages over HTTP | 1.25 | 400 | 0.80 | 8.00 | 20 | 5.0 | – | 0.90 | 100 (–) |" in (
        table
    )
    assert "- cp: there is no cp here" in table
    (ours,) = (
        line for line in uploads_table(uploads, 500 * MEGABYTE) if line.startswith(f"| {RAW} |")
    )
    assert ours.split("|")[3:-1] == [
        *(" 2.40 ", " 208 ", " 1.20 ", " 2.50 ", " 9.0 ", " – ", " 0.70 ", " – (–) ")
    ]
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
    for option in ("--size", "--rounds", "--dbbackup", "--peers", "--results"):
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
