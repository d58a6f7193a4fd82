"""The part of the benchmark that compares both kinds of store."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.both import POSTGRES, SQLITE, measure_both
from benchmarks.rows import fill
from benchmarks.stores import Store
from benchmarks.tables import both_table
from tests.site import Site, copy_site

pytestmark = pytest.mark.postgres

MEGABYTE = 10**6


def test_both_kinds_of_store_are_measured_on_the_same_rows(
    template_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sync", int)  # other tests write, too
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "taskdog.settings")  # of the commands
    site = copy_site(template_site, tmp_path / "store/data")
    with closing(sqlite3.connect(site.database, isolation_level=None)) as connection:
        fill(connection, MEGABYTE)
    one, other = measure_both(Store(site.data, site.key), rounds=1)
    assert one.kind == SQLITE
    assert other.kind.startswith(POSTGRES)
    for column in (one, other):
        for sample in (column.taken, column.staged, column.applied):
            assert sample is not None
            assert sample.slowest
            assert sample.writes_alone
        assert column.size > column.snapshot_size / 2 > 0
    assert one.moved is None
    assert other.moved is not None
    lines = both_table([one, other])
    assert len(lines) > 10
    assert all(line.count("|") == 4 for line in lines)
