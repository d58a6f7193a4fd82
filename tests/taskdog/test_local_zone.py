from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from taskdog import local_zone as module
from taskdog.local_zone import local_zone
from tests.processes import run_python

pytestmark = pytest.mark.proof  # each test starts processes of the whole site

PRINT_HOUR = """
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "taskdog.settings"
django.setup()
from datetime import datetime
from django.utils import timezone
print(timezone.now().tzinfo, datetime.fromtimestamp(0).hour)
"""


def test_a_chosen_zone_is_taken() -> None:
    assert local_zone("Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize("chosen", ["Mars/Olympus", "../etc/passwd", "/etc/passwd"])
def test_an_unknown_zone_stops_the_start(chosen: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="TASKDOG_TIME_ZONE"):
        local_zone(chosen)


def test_the_variable_of_the_c_library_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert local_zone("") == "Asia/Tokyo"


def test_the_link_of_the_machine_names_its_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(module, "LOCALTIME", link)
    assert local_zone("") == "Europe/Berlin"


def test_a_zone_without_a_name_leaves_the_clock_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "AAA-5:30")
    assert local_zone("") is None


@pytest.mark.parametrize(
    ("variables", "hour"),
    [({"TASKDOG_TIME_ZONE": "Asia/Tokyo"}, 9), ({"TZ": "Asia/Tokyo"}, 9), ({"TZ": "AAA-5"}, 5)],
)
def test_the_site_runs_on_local_time_without_an_offset(
    variables: dict[str, str], hour: int, tmp_path: Path
) -> None:
    out, err, code = run_python("-c", PRINT_HOUR, data_dir=tmp_path, **variables)
    assert (out, code) == (f"None {hour}\n", 0), err
