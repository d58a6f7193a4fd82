"""The locked requirements: made from what is written by hand, whole, and nothing without a hash."""

import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parents[1]
INPUTS = sorted(path.name for path in CHECKOUT.glob("requirements*.in"))
PLACES: list[dict[str, str]] = [
    {
        "implementation_name": "cpython",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "python_full_version": f"{version}.1",
        "python_version": version,
        "sys_platform": system,
    }
    for version, (system, machine) in product(
        ("3.11", "3.12", "3.13", "3.14"),
        (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("darwin", "x86_64")),
    )
]
Lock = dict[str, tuple[Requirement, str]]


def written(name: str) -> dict[str, Requirement]:
    """What a file that is written by hand asks for, by the name of each."""
    found: dict[str, Requirement] = {}
    for line in (CHECKOUT / name).read_text().splitlines():
        words = line.partition("#")[0].strip()
        if words.startswith("-r "):
            found.update(written(words.removeprefix("-r ")))
        elif words:
            requirement = Requirement(words)
            found[canonicalize_name(requirement.name)] = requirement
    return found


def locked(name: str) -> Lock:
    """What a file that `make lock` has made installs, by the name of each, and the lines of it."""
    text = (CHECKOUT / name).read_text()
    found: Lock = {}
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if block[0] != "#":
            requirement = Requirement(block.partition(" \\\n")[0])
            found[canonicalize_name(requirement.name)] = requirement, block
    return found


def is_wanted(requirement: Requirement, place: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(place)


@pytest.mark.parametrize("name", INPUTS)
def test_lock_is_made_from_what_is_written(name: str) -> None:
    """If not: make lock."""
    asked, lock = written(name), locked(name.replace(".in", ".txt"))
    for each, requirement in asked.items():
        assert each in lock, f"{each} is not locked"
        pinned = lock[each][0]
        assert requirement.specifier.contains(next(iter(pinned.specifier)).version)
        for place in PLACES:
            if name != "requirements-cli.in" or place["python_version"] != "3.11":
                assert is_wanted(pinned, place) == is_wanted(requirement, place), (each, place)
    direct = {each for each, (_, block) in lock.items() if "-r requirements" in block}
    assert direct == set(asked), "what nobody asks for any more is still locked"


@pytest.mark.parametrize("name", INPUTS)
def test_each_is_pinned_and_has_its_hashes(name: str) -> None:
    lock = locked(name.replace(".in", ".txt"))
    assert lock
    for requirement, block in lock.values():
        assert [each.operator for each in requirement.specifier] == ["=="]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), requirement.name


@pytest.mark.parametrize("name", ["requirements-test.txt", "requirements-dev.txt"])
def test_tests_run_with_what_the_site_runs_with(name: str) -> None:
    site, tests = locked("requirements.txt"), locked(name)
    assert {name: str(lock[0].specifier) for name, lock in site.items()} == {
        name: str(tests[name][0].specifier) for name in site
    }


def test_make_installs_nothing_without_its_hash() -> None:
    makefile = (CHECKOUT / "Makefile").read_text()
    assert re.findall(r"pip install .*", makefile) == [
        "pip install --no-deps --quiet --disable-pip-version-check --require-hashes"
        " $(PIP_OPTIONS) -r"
    ]
    installed = set(re.findall(r"\$\(INSTALL\) (\S+)", makefile))
    assert installed == {name.replace(".in", ".txt") for name in INPUTS}


@pytest.mark.proof
def test_tests_with_postgres_need_only_what_they_install(tmp_path: Path) -> None:
    missing = ("selenium", "boto3", "botocore", "storages", "mypy")  # requirements-dev.txt
    plugin = "import sys\nsys.modules |= dict.fromkeys(" + repr(missing) + ")\n"
    (tmp_path / "on_a_new_clone.py").write_text(plugin)
    options = "-p on_a_new_clone -p no:cacheprovider -m postgres --collect-only -q"
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options.split()],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    assert "tests/postgres/" in found.stdout
