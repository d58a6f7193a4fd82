"""What an operator is told, when the programs or the server are not there: one clear sentence."""

from pathlib import Path

import pytest

from tests.postgres.server import Server
from tests.postgres.sites import make_site
from tests.processes import Finished, run_manage
from tests.site import Site

pytestmark = pytest.mark.postgres


@pytest.fixture
def site(postgres: Server, tmp_path: Path) -> Site:
    return make_site(postgres, tmp_path / "data")


def manage(site: Site, *words: str, **variables: str) -> Finished:
    return run_manage(*words, data_dir=site.data, **site.variables | variables)


def test_a_missing_pg_restore_is_named_and_no_snapshot_is_blamed(
    site: Site, tmp_path: Path
) -> None:
    assert manage(site, "backup", "--store").code == 0
    nowhere = {"TASKDOG_POSTGRES_PROGRAMS": str(tmp_path)}
    done = manage(site, "backups", "verify", "latest", **nowhere)
    assert done.code == 1
    assert f"could not be verified: There is no pg_dump with its pg_restore in {tmp_path}" in (
        done.out.replace("\n", " ")
    )
    assert "unreadable" not in done.out + done.err
    assert "could not be verified (tried at" in manage(site, "backups", "list").out
    log = manage(site, "backups", "log").out
    assert "by" in log
    assert "failed" not in log
    assert manage(site, "backups", "verify", "latest").code == 0
    manage(site, "backups", "verify", "latest", **nowhere)
    assert "restorable (verified at" in manage(site, "backups", "list").out


@pytest.mark.parametrize("wrong", ["password", "port"])
def test_a_server_that_refuses_is_one_sentence(site: Site, wrong: str, postgres: Server) -> None:
    """No traceback of ours; and what can go on without the database does."""
    right = {"password": postgres.password, "port": f":{postgres.port}/"}[wrong]
    url = site.variables["TASKDOG_DATABASE_URL"].replace(right, {"port": ":1/"}.get(wrong, "none"))
    done = manage(site, "backup", "--store", TASKDOG_DATABASE_URL=url)
    assert done.code == 1
    assert "CommandError: There is no connection for the database" in done.err.replace("\n", " ")
    assert "the NAME, HOST, PORT" in done.err.replace("\n", " ")
    assert "Traceback" not in done.err
    done = manage(site, "check", "--database", "default", TASKDOG_DATABASE_URL=url)
    assert (done.code, "Traceback" in done.err) == (0, False)
    assert "backups.W143" in done.err
