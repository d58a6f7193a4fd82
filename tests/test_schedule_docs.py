"""What docs/schedule.md has for cron and systemd is what they take."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from cronsim import CronSim

from tests.processes import CHECKOUT

PAGE = (CHECKOUT / "docs/schedule.md").read_text()


def blocks() -> list[str]:
    """The indented parts of the page, without their indent."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE)
    return [re.sub(r"^    ", "", each, flags=re.MULTILINE).strip() + "\n" for each in found]


def units() -> dict[str, str]:
    found = [each for each in blocks() if each.startswith("[Unit]")]
    assert len(found) == 2
    return {
        f"mysite-backup.{'service' if '[Service]' in each else 'timer'}": each for each in found
    }


def test_line_for_cron_is_one() -> None:
    [line] = [each for each in blocks() if each.startswith("*/15")]
    fields, command = line.split(" cd ")
    next(CronSim(fields, datetime.now(UTC)))
    assert "manage.py backups run-due" in command


def test_units_run_the_command_again_and_again() -> None:
    assert set(units()) == {"mysite-backup.service", "mysite-backup.timer"}
    assert "manage.py backups run-due\n" in units()["mysite-backup.service"]


def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return  # only this host lacks it: the units are read above all the same
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    paths = []
    for name, text in units().items():
        path = tmp_path / name
        path.write_text(
            text.replace("/srv/mysite/.venv/bin/python", str(python))
            .replace("/srv/mysite", str(tmp_path))
            .replace("User=mysite\n", "")
        )
        paths.append(str(path))
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *paths], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
