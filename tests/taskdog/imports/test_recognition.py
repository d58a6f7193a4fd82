"""A database of taskdog's own server that is taken for a snapshot: the answer says what to do."""

from pathlib import Path

import pytest

from taskdog.imports.revisions import KNOWN
from tests.site import Site
from tests.taskdog.imports.builders import add_task, make_database

pytestmark = pytest.mark.proof

DO_THIS = (
    "It is a database of taskdog's own server: bring it in with 'manage.py import_taskdog PATH'."
)


@pytest.mark.parametrize("revision", [KNOWN[0], KNOWN[-1]])
def test_an_upload_of_it_is_refused_with_the_command(
    site: Site, tmp_path: Path, revision: str
) -> None:
    theirs = make_database(tmp_path / "theirs.db", revision)
    add_task(theirs, 1)
    with site.serving() as server:
        for path in ("restore", "restore?apply=now"):
            with theirs.open("rb") as upload:
                answer = server.api("POST", path, files={"file": upload})
            assert answer.status_code == 400
            assert answer.json()["code"] == "foreign_database"
            assert answer.json()["detail"].endswith(DO_THIS)
        assert server.api("GET", "restore").json()["status"] == "nothing"


def test_restore_db_names_the_command(site: Site, tmp_path: Path) -> None:
    theirs = make_database(tmp_path / "theirs.db", is_stamped=False)
    out, err, code = site.manage("restore_db", str(theirs), "--yes")
    assert (out, code) == ("", 1)
    assert DO_THIS in err


def test_another_application_s_database_gets_no_advice(site: Site, tmp_path: Path) -> None:
    theirs = make_database(tmp_path / "theirs.db")
    theirs.write_bytes(theirs.read_bytes().replace(b"depends_on", b"dependency"))
    out, err, code = site.manage("restore_db", str(theirs), "--yes")
    assert (out, code) == ("", 1)
    assert "not one of this site" in err
    assert "import_taskdog" not in err
