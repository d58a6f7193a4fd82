import json
import os
from pathlib import Path

import pytest

from backups.keys.api_keys import find_key, read_keys
from tests.processes import run_manage

pytestmark = pytest.mark.proof  # each test starts processes of the whole site


def test_the_key_is_alone_on_standard_output(tmp_path: Path) -> None:
    out, err, code = run_manage("create_api_key", "laptop", data_dir=tmp_path)
    assert code == 0
    found = find_key(read_keys(tmp_path / "api_keys.json"), out.removesuffix("\n"))
    assert found is not None
    assert (found.name, found.scopes) == ("laptop", ("tasks", "backup", "restore"))
    assert out.strip() not in err


def test_standard_error_tells_what_to_do_next(tmp_path: Path) -> None:
    _, err, _ = run_manage("create_api_key", "laptop", data_dir=tmp_path, PORT="8111")
    assert str(tmp_path / "api_keys.json") in err
    assert "tasks, backup, restore" in err
    assert "export TASKDOG_API_KEY=" in err
    assert "http://127.0.0.1:8111/api/v1/tasks" in err
    assert "-OJ http://127.0.0.1:8111/api/v1/backup" in err


def test_a_key_can_be_made_before_there_is_a_database(tmp_path: Path) -> None:
    run_manage("create_api_key", "laptop", data_dir=tmp_path / "new")
    assert "api_keys.json" in os.listdir(tmp_path / "new")
    assert "tasks.db" not in os.listdir(tmp_path / "new")


def test_scopes_are_as_chosen(tmp_path: Path) -> None:
    arguments = ["create_api_key", "cron", "--scope", "backup", "--scope", "tasks"]
    assert run_manage(*arguments, data_dir=tmp_path).code == 0
    (entry,) = json.loads((tmp_path / "api_keys.json").read_text())["keys"]
    assert entry["scopes"] == ["tasks", "backup"]


def test_an_unknown_scope_is_refused_and_makes_no_key(tmp_path: Path) -> None:
    out, err, code = run_manage("create_api_key", "x", "--scope", "admin", data_dir=tmp_path)
    assert (out, code != 0) == ("", True)
    assert "'admin'" in err
    assert not (tmp_path / "api_keys.json").exists()


def test_a_name_that_is_taken_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    run_manage("create_api_key", "laptop", data_dir=tmp_path)
    before = (tmp_path / "api_keys.json").read_bytes()
    out, err, code = run_manage("create_api_key", "laptop", data_dir=tmp_path)
    assert (out, code) == ("", 1)
    assert "already an API key named 'laptop'" in err
    assert "Traceback" not in err
    assert (tmp_path / "api_keys.json").read_bytes() == before


def test_if_none_makes_the_first_key_only(tmp_path: Path) -> None:
    first = run_manage("create_api_key", "first", "--if-none", data_dir=tmp_path)
    assert (first.out.count("\n"), first.code) == (1, 0)
    before = (tmp_path / "api_keys.json").read_bytes()
    out, err, code = run_manage("create_api_key", "second", "--if-none", data_dir=tmp_path)
    assert (out, err.count("\n"), code) == ("", 1, 0)
    assert (tmp_path / "api_keys.json").read_bytes() == before
