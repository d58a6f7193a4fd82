"""What `make release` builds: all of `backups`, and nothing else of this repository."""

import subprocess
import tarfile
import zipfile
from email import message_from_bytes

import pytest

from backups import __version__
from tests.package.environments import sdist, wheel
from tests.processes import CHECKOUT

pytestmark = pytest.mark.package


def in_git() -> set[str]:
    """Every file of the app that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "backups"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    )
    return set(listed.stdout.splitlines())


def test_wheel_is_the_app_as_git_has_it_with_its_license() -> None:
    about = f"django_restorable-{__version__}.dist-info/"
    with zipfile.ZipFile(wheel()) as built:
        names = set(built.namelist())
        assert {name for name in names if not name.startswith(about)} == in_git()
        assert built.read(f"{about}licenses/LICENSE") == (CHECKOUT / "LICENSE").read_bytes()
    assert "backups/py.typed" in names


def test_sdist_has_what_it_is_built_from_and_what_people_read() -> None:
    with tarfile.open(sdist()) as built:
        files = [member.name for member in built.getmembers() if member.isfile()]
    names = {name.partition("/")[2] for name in files}
    assert {name for name in names if ".egg-info/" not in name} == in_git() | {
        *("CHANGELOG.md", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"),
        *("pyproject.toml", "setup.cfg"),
    }


def test_description_has_the_version_and_the_license() -> None:
    with zipfile.ZipFile(wheel()) as built:
        said = message_from_bytes(built.read(f"django_restorable-{__version__}.dist-info/METADATA"))
    assert (said["Name"], said["Version"]) == ("django-restorable", __version__)
    assert said["License-Expression"] == "BSD-3-Clause"
