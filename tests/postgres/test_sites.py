"""Two web machines on one database, and a standby: as the tests of restores find them."""

from pathlib import Path

import psycopg
import pytest

from tests.postgres.server import Server
from tests.postgres.sites import database_name, make_site
from tests.postgres.standby import promote, wait_until_equal
from tests.site import Site

pytestmark = pytest.mark.postgres


def test_what_one_machine_writes_the_other_reads(two_machines: tuple[Site, Site]) -> None:
    first, second = two_machines
    with first.serving() as one, second.serving() as other:
        one.add_task("of the first")
        other.add_task("of the second")
        assert one.task_names() == other.task_names() == ["of the first", "of the second"]
    assert not first.database.exists()
    assert not second.database.exists()


def test_a_standby_has_what_the_primary_commits_and_takes_over(
    postgres: Server, standby: Server, tmp_path: Path
) -> None:
    site = make_site(postgres, tmp_path / "data")
    with site.serving() as server:
        server.add_task("committed")
    wait_until_equal(postgres, standby)
    name = database_name(site)
    assert standby.admin("SELECT name FROM tasks", name) == [("committed",)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        standby.admin("DELETE FROM tasks", name)
    promote(standby)
    moved = Site(site.data, site.key, {"TASKDOG_DATABASE_URL": standby.url(name)})
    with moved.serving() as server:
        server.add_task("after it took over")
        assert server.task_names() == ["committed", "after it took over"]
