import json
from pathlib import Path

import pytest

from tests.processes import run_python

LOG = """
import logging, logging.config, sys
from taskdog.logs import logging_config
logging.config.dictConfig(logging_config(log_format=sys.argv[1], level="INFO"))
for name in ("django", "gunicorn.error", "gunicorn.access", "backups", "taskdog"):
    logging.getLogger(name).info("first line\\nsecond line")
    logging.getLogger(name).debug("too quiet")
try:
    raise ValueError("told in two\\nlines")
except ValueError:
    logging.getLogger("taskdog").exception("it failed")
"""


@pytest.fixture
def logged(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    out, err, code = run_python("-c", LOG, request.param, data_dir=tmp_path)
    assert (out, code) == ("", 0), err
    return err.splitlines()


@pytest.mark.parametrize("logged", ["text"], indirect=True)
def test_every_event_is_one_line_and_told_once(logged: list[str]) -> None:
    assert len(logged) == 6
    for line, name in zip(logged, ("django", "gunicorn.error", "gunicorn.access"), strict=False):
        assert f" {name}: first line\\nsecond line" in line


@pytest.mark.parametrize("logged", ["text"], indirect=True)
def test_a_traceback_stays_on_the_line_of_its_event(logged: list[str]) -> None:
    assert "it failed\\nTraceback (most recent call last):\\n" in logged[-1]
    assert logged[-1].endswith("ValueError: told in two\\nlines")


@pytest.mark.parametrize("logged", ["json"], indirect=True)
def test_for_machines_every_line_is_an_object(logged: list[str]) -> None:
    events = [json.loads(line) for line in logged]
    assert [event["logger"] for event in events][3:] == ["backups", "taskdog", "taskdog"]
    assert events[0]["message"] == "first line\nsecond line"
    assert (events[-1]["level"], events[-1]["message"]) == ("ERROR", "it failed")
    assert "told in two" in events[-1]["exc_info"]
    assert all(event["time"] and event["process"] for event in events)
