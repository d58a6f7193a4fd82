"""
What this app can't run without, checked before the rest of the app is imported.

Otherwise, if a package is missing, too old, or another one of the same name, the start would end
with a traceback from a module that the operator has never heard of.
"""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

import django
from django.core.exceptions import ImproperlyConfigured

PYTHON = (3, 11)
DJANGO = (4, 2)


class Package(NamedTuple):
    """A package by its name on PyPI, and how to recognise it."""

    name: str
    oldest: tuple[int, ...]
    module: str
    has: str = ""  # a name in its module that other modules of the same name lack


PACKAGES = (
    Package("djangorestframework", (3, 15), "rest_framework"),
    Package("cronsim", (2, 6), "cronsim", has="CronSim"),
    Package("multipart", (2, 0), "multipart", has="PushMultipartParser"),
    *([] if sys.version_info >= (3, 14) else [Package("backports.zstd", (1,), "backports.zstd")]),
)


def check_requirements() -> None:
    """
    Look at Python, Django and each package.

    :raises ImproperlyConfigured: something is wrong; the message says how to fix it.
    """
    if tuple(sys.version_info) < PYTHON:
        raise ImproperlyConfigured(f"backups needs Python {_dotted(PYTHON)} or newer.")
    if django.VERSION < DJANGO:
        raise ImproperlyConfigured(
            f"backups needs Django {_dotted(DJANGO)} or newer, but {django.get_version()} is"
            " installed."
        )
    for package in PACKAGES:
        if problem := _problem(package):
            raise ImproperlyConfigured(f"backups needs {problem}. {_install(package)}")


def _problem(package: Package) -> str:
    """The rest of the sentence; empty if nothing is wrong."""
    wanted = f"{package.name} {_dotted(package.oldest)} or newer"
    installed = _version(package.name)
    if installed and _numbers(installed) < package.oldest:
        return f"{wanted}, but {installed} is installed"
    if not _is_there(package.module):
        return f"{wanted}, which is not installed"
    if package.has and not hasattr(import_module(package.module), package.has):
        return f"{wanted}, but {_another(package.module)} is imported instead"
    return ""


def _is_there(module: str) -> bool:
    """Does not import it: importing every package would slow down each start."""
    try:
        return module in sys.modules or find_spec(module) is not None
    except ModuleNotFoundError:  # the package before the dot is missing too
        return False


def _another(module: str) -> str:
    """Which package the other module of that name is from."""
    other = f"python-{module}"  # python-multipart, which many projects have
    return f"{other} {found}" if (found := _version(other)) else "another module of that name"


def _install(package: Package) -> str:
    """Pins Django: otherwise pip may choose a release that needs a newer one, and install both."""
    other = f"python-{package.module}"
    names = ["django-restorable", f"Django=={django.get_version()}"]
    if package.has and _version(package.name) and _version(other):
        names.append(f"{other}>=0.0.13")  # from then on it leaves the name to the other package
    return "Install it: python -m pip install " + " ".join(f'"{name}"' for name in names)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """``3.15.0rc1`` as (3, 15)."""
    parts = []
    for part in text.split("."):
        if not part.isdecimal():
            break
        parts.append(int(part))
    return tuple(parts)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
