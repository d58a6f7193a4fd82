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


def test_local_time_that_the_clocks_skipped_is_named(postgres: Server, tmp_path: Path) -> None:
    project = make_rich(tmp_path, postgres, use_tz=False, zone="Europe/Berlin")
    project.insert("shop_everything", id="1", moment="'2024-03-31 02:30:00'", file="''")
    project.insert("shop_everything", id="2", moment="'2024-10-27 02:30:00'", file="''")
    answer = project.move()
    assert answer["error"] == "UnfitRowsError"
    assert answer["message"] == (
        "PostgreSQL can't hold a value of the snapshot. shop_everything, row 1, column moment: is"
        " 2024-03-31 02:30:00, a time that the clocks skipped in Europe/Berlin."
    )
