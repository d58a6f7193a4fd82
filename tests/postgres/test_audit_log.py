"""What the audit log tells of restores on PostgreSQL, and the logins that a restore ends."""

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.postgres.server import Server as Postgres
from tests.postgres.sites import database_name, make_site
from tests.site import Server, Site

pytestmark = pytest.mark.postgres

PASSWORD = "correct horse battery"


@pytest.fixture
def site(postgres: Postgres, tmp_path: Path) -> Site:
    return make_site(postgres, tmp_path / "machine")


def told(server: Server) -> list[dict[str, Any]]:
    """What the log tells of the database as a whole, oldest first."""
    answer = server.api("GET", "audit-logs", params={"resource_type": "database"})
    found: list[dict[str, Any]] = answer.json()["logs"]
    return found[::-1]


def restore(server: Server, content: bytes, query: str = "") -> dict[str, Any]:
    answer = server.api("POST", f"restore{query}", files={"file": content})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_each_step_is_told_by_the_name_of_who_did_it(site: Site) -> None:
    with site.serving() as server:
        server.add_task("restored")
        content = server.api("GET", "backup").content
        restore(server, content)
        server.api("DELETE", "restore").raise_for_status()
        applied = restore(server, content, "?apply=now")
        server.api("POST", "restore/undo").raise_for_status()
        found = told(server)
        receipts = server.api("GET", "restores").json()["restores"]
    assert [row["operation"] for row in found] == [
        "restore_staged",
        "restore_discarded",
        "restore_staged",
        "restore_applied",
        "undo_staged",
    ], "also what had happened before the log was replaced"
    assert {row["client_name"] for row in found} == {"tester"}
    assert [row["new_values"]["receipt"] for row in found] == [
        each["id"] for each in reversed(receipts)
    ]
    assert found[3]["new_values"]["kept"] == applied["kept"]
    assert found[4]["new_values"]["undoes"] == applied["kept"]


def test_a_snapshot_is_told_with_its_size_and_its_name(site: Site) -> None:
    with site.serving() as server:
        taken = server.api("GET", "backup")
        (row,) = told(server)
    assert (row["operation"], row["client_name"], row["success"]) == ("backup", "tester", True)
    assert row["new_values"] == {"size": len(taken.content), "method": "dump"}
    assert row["resource_name"] in taken.headers["Content-Disposition"]


def test_what_a_start_has_applied_is_told_once_in_the_restored_log(site: Site) -> None:
    with site.serving() as server:
        server.add_task("restored")
        restore(server, server.api("GET", "backup").content)
    for _ in range(2):
        with site.serving() as server:
            *_, staged, applied = told(server)
    assert (staged["operation"], staged["client_name"]) == ("restore_staged", "tester")
    assert (applied["operation"], applied["client_name"]) == ("restore_applied", None)


def test_a_restore_that_failed_is_told_with_its_reason(site: Site, postgres: Postgres) -> None:
    with site.serving() as server:
        restore(server, server.api("GET", "backup").content)
    control = f"{database_name(site)}_backups"
    postgres.admin("DELETE FROM backups.state WHERE name = 'pending'", control)
    with site.serving() as server:
        *_, refused = told(server)
    assert (refused["operation"], refused["success"]) == ("restore_refused", False)
    assert "was not staged" in refused["error_message"]


def test_a_snapshot_has_no_login_and_a_restore_ends_them_all(site: Site) -> None:
    made = site.manage(
        *("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert made.code == 0, made.err
    with site.serving(TASKDOG_WORKERS="2") as server, requests.Session() as browser:
        form = f"{server.url}/api-auth/login/"
        browser.get(form, timeout=60)
        token = browser.cookies["csrftoken"]
        answer = browser.post(
            form,
            data={"username": "ann", "password": PASSWORD, "csrfmiddlewaretoken": token},
            headers={"Referer": form},
            allow_redirects=False,
            timeout=60,
        )
        assert answer.status_code == 302
        cookie = {"Cookie": f"sessionid={browser.cookies['sessionid']}", "Connection": "close"}
        page = f"{server.url}/api/v1/restore"
        assert requests.get(page, headers=cookie, timeout=60).status_code == 200
        stolen = server.api("GET", "backup").content
        assert browser.cookies["sessionid"].encode() not in stolen
        restore(server, stolen, "?apply=now")
        for _ in range(4):  # whichever worker
            assert requests.get(page, headers=cookie, timeout=60).status_code == 401
    assert list((site.data / "sessions").iterdir()) == []
