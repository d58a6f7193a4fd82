"""A whole SQLite database of a project is moved into PostgreSQL, and every row is compared."""

from pathlib import Path

import pytest

from tests.postgres.move.rich import fill, make_rich
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    ("use_tz", "zone"), [(True, "UTC"), (True, "Europe/Berlin"), (False, "Europe/Berlin")]
)
def test_every_row_of_every_model_is_there(
    postgres: Server, tmp_path: Path, use_tz: bool, zone: str
) -> None:
    project = make_rich(tmp_path, postgres, use_tz=use_tz, zone=zone)
    fill(project)
    answer = project.move()
    assert "error" not in answer, answer
    assert answer["warnings"] == []
    before, after = project.rows(), project.rows(on=project.database)
    assert len(before) == 22
    for name, rows in before.items():
        assert after[name] == rows, name
    assert sum(answer["rows"].values()) >= sum(map(len, before.values()))
