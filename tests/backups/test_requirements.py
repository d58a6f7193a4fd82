"""What is said of an installation that lacks something; packages are folders made by the test."""

import sys
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType

import django
import pytest
from django.core.exceptions import ImproperlyConfigured
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from backups import requirements
from backups.requirements import DJANGO, PACKAGES, PYTHON, Package, check_requirements
from tests.processes import CHECKOUT, run_manage


def install(folder: Path, name: str, version: str) -> None:
    """Let Python find a package of that version in the folder, before any other of its name."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


CONFIGURATION = ConfigParser()
CONFIGURATION.read(CHECKOUT / "setup.cfg")


def setup_cfg(section: str, option: str) -> dict[str, Requirement]:
    """What the package asks for there, by the name of each."""
    return requirements_of(CONFIGURATION[section][option])


def requirements_of(text: str) -> dict[str, Requirement]:
    lines = filter(None, (line.partition("#")[0].strip() for line in text.splitlines()))
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def lowest(requirement: Requirement) -> tuple[int, ...]:
    return numbers(requirement.specifier)


def numbers(specifiers: SpecifierSet) -> tuple[int, ...]:
    (specifier,) = specifiers
    assert specifier.operator == ">="
    return tuple(map(int, specifier.version.split(".")))


def refusal() -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        check_requirements()
    return str(refused.value)


def test_what_is_installed_here_will_do() -> None:
    check_requirements()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_package_that_is_too_old_is_named_with_the_versions_and_the_command(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, package.name, "0.9.1")
    monkeypatch.syspath_prepend(tmp_path)
    oldest = ".".join(map(str, package.oldest))
    assert refusal() == (
        f"backups needs {package.name} {oldest} or newer, but 0.9.1 is installed. Install it:"
        f' python -m pip install "django-restorable" "Django=={django.get_version()}"'
    )


@pytest.mark.parametrize("module", ["no_such_module", "no_such_package.module"])
def test_package_that_is_missing_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "PACKAGES", [Package("no-such-package", (1, 2), module)])
    assert refusal().startswith(
        "backups needs no-such-package 1.2 or newer, which is not installed."
    )


@pytest.mark.parametrize("version", ["0.0.9", "0.0.34"])
def test_python_multipart_in_place_of_multipart_is_told_apart(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "python-multipart", version)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "multipart", ModuleType("multipart"))
    said = refusal()
    assert f"but python-multipart {version} is imported instead" in said
    assert '"python-multipart>=0.0.13"' in said  # both are installed: one has to make way


def test_stranger_in_place_of_a_package_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "multipart", ModuleType("multipart"))
    assert "but another module of that name is imported instead" in refusal()


def test_django_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django, "VERSION", (3, 2, 25, "final", 0))
    assert refusal() == "backups needs Django 4.2 or newer, but 3.2.25 is installed."


def test_python_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "PYTHON", (4, 0))
    assert refusal() == "backups needs Python 4.0 or newer."


def test_command_ends_with_the_sentence_and_not_in_a_module_of_ours(tmp_path: Path) -> None:
    install(tmp_path, "djangorestframework", "3.14.0")
    ended = run_manage("check", data_dir=tmp_path / "data", PYTHONPATH=str(tmp_path))
    assert ended.code == 1
    last = ended.err.splitlines()[-1]
    assert "backups needs djangorestframework 3.15 or newer, but 3.14.0 is installed." in last


def test_package_asks_for_what_is_looked_at_here() -> None:
    asked = setup_cfg("options", "install_requires")
    looked_at = {package.name: package.oldest for package in PACKAGES}
    expected = {"django": DJANGO, "backports.zstd": (1,)} | looked_at
    assert {name: lowest(requirement) for name, requirement in asked.items()} == expected
    python = SpecifierSet(str(CONFIGURATION["options"]["python_requires"]))
    assert numbers(python) == PYTHON


def test_site_has_what_the_package_asks_for_and_all_of_its_extras() -> None:
    asked = setup_cfg("options", "install_requires") | setup_cfg("options.extras_require", "cli")
    pinned = requirements_of((CHECKOUT / "requirements.in").read_text())
    for name, requirement in asked.items():
        assert requirement.specifier.contains(next(iter(pinned[name].specifier)).version), name
