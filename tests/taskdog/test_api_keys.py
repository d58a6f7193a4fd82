"""Keys of this site: what ``make run`` prints, and what becomes of keys while the server runs."""

import json
import re
from pathlib import Path

import pytest

from tests.processes import CHECKOUT, run_manage
from tests.site import Site

OTHER_STEPS = "--scope backup --scope restore"


def test_key_that_make_run_prints_is_for_the_tasks_and_says_how_to_make_another(
    tmp_path: Path,
) -> None:
    (line,) = re.findall(r"manage\.py (create_api_key .*)", (CHECKOUT / "Makefile").read_text())
    made = run_manage(*line.split(), data_dir=tmp_path)
    assert made.code == 0
    assert re.fullmatch(r"taskdog_key_[0-9A-Za-z]{49}\n", made.out)
    assert "may: tasks." in made.err
    assert "/api/v1/tasks" in made.err
    assert "/api/v1/backup" not in made.err
    assert f"manage.py create_api_key NAME {OTHER_STEPS}" in made.err


def test_key_that_may_back_up_is_told_only_what_it_may(tmp_path: Path) -> None:
    made = run_manage("create_api_key", "cron", "--scope", "backup", data_dir=tmp_path)
    assert "/api/v1/backup" in made.err
    assert "/api/v1/tasks" not in made.err
    assert OTHER_STEPS not in made.err


@pytest.mark.proof
def test_keys_are_listed_rotated_and_revoked_while_the_server_runs(site: Site) -> None:
    with site.serving() as server:
        assert server.api("GET", "tasks").status_code == 200
        (listed,) = json.loads(site.manage("api_keys", "--json").out)
        assert listed["last_used_at"] is not None
        rotated = site.manage("api_keys", "rotate", "tester")
        assert server.api("GET", "tasks").status_code == 401
        server.http.headers["X-Api-Key"] = rotated.out.strip()
        assert server.api("GET", "tasks").status_code == 200
        revoked = site.manage("api_keys", "revoke", "tester")
        assert (revoked.code, server.api("GET", "tasks").status_code) == (0, 401)
    assert "A wrong API key came from 127.0.0.1, for GET /api/v1/tasks" in "".join(server.log)


@pytest.mark.proof
def test_commands_about_keys_apply_no_restore(site: Site) -> None:
    """As create_api_key: who manages keys may be another than who restores."""
    saved = site.data.parent / "saved.db"
    assert site.manage("backup", "-o", str(saved)).code == 0
    site.stage(saved)
    assert site.manage("api_keys").code == 0
    assert site.manage("backup_keys", "--json").code == 0
    assert site.conclusions() == []
