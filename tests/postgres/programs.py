"""
The PostgreSQL servers that are here, of which each major version is tried once.

Debian has one, and `make postgres-test` installs another from PyPI. As a module this prints which
are here, and what is left out for want of one.
"""

import os
import pwd
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.postgres.small_disk import can_be_mounted

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDERS = ("/usr/lib/postgresql/*/bin", str(CHECKOUT / ".venv-postgres/bin"))
WANTED = (15, 18)  # a test may need one of these; every other test takes what is here
USERS = ("postgres", "nobody")  # whom a server runs as when the tests run as root


@cache
def found() -> dict[int, Path]:
    """The folder of the programs of each version, oldest first."""
    folders = [place for pattern in FOLDERS for place in Path("/").glob(pattern.lstrip("/"))]
    return dict(sorted((_version(each), each) for each in folders if (each / "initdb").exists()))


def _version(folder: Path) -> int:
    said = subprocess.check_output([folder / "postgres", "--version"], text=True)
    number = re.search(r"\) (\d+)", said)
    assert number, said
    return int(number[1])


def as_user() -> list[str]:
    """How a command begins that ends with this process; not as root, which a server refuses."""
    words = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() == 0:
        user = _user()
        words += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return words


@cache
def _user() -> pwd.struct_passwd:
    known = {each.pw_name: each for each in pwd.getpwall()}
    return next(known[name] for name in USERS if name in known)


def give(folder: Path) -> None:
    """Let the server's user have a folder."""
    if os.geteuid() == 0:
        os.chown(folder, _user().pw_uid, _user().pw_gid)


def reachable(programs: Path, folder: Path) -> Path:
    """The programs, or a copy in a folder: a checkout may be where only root can look."""
    if subprocess.run(
        [*as_user(), programs / "postgres", "--version"], capture_output=True
    ).returncode:
        copy = folder / "programs"
        shutil.copytree(programs.parent, copy, symlinks=True)
        return copy / programs.name
    return programs


def main() -> None:
    """Say what is tried."""
    print("PostgreSQL:", ", ".join(f"{version} ({place})" for version, place in found().items()))
    for version in WANTED:
        if version not in found():
            print(f"Left out: tests that need PostgreSQL {version}, which is not here.")
    if not can_be_mounted():
        print("Left out: tests of a server whose disk is full: this user can't mount a small one.")


if __name__ == "__main__":
    main()
