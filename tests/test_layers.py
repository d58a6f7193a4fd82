"""The arrows between the rooms run down; read from the source, nothing is imported."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
# What other code may import: the first column of the tables.
PUBLIC = re.findall(
    r"^\| `(backups[\w.]+)` \|", (CHECKOUT / "docs/python.md").read_text(), re.MULTILINE
)

# The rooms, floor by floor from the ground: a folder, or a module that stands alone. Each imports
# only from below, at import time or later.
FLOORS = (
    ("exceptions", "requirements", "signals", "store", "which_sqlite"),
    ("processes", "unwrapping"),
    ("conf", "disk"),
    ("keys", "sqlite.folder"),
    ("sqlite.format", "sqlite.locking", "sqlite.records"),
    ("client", "sqlite.kept", "sqlite.site"),
    ("sqlite.checking", "sqlite.disk_space"),
    ("sqlite.restores", "sqlite.snapshots"),
    ("sqlite.store",),
    ("site",),
    ("services",),
    ("api", "startup"),
    ("asgi", "checks", "management", "urls"),
    ("apps",),
)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}

# What knows neither Django nor the network: of the rest of the world, the standard library alone.
CORE = ("disk", "exceptions", "processes", "sqlite", "store", "which_sqlite")
# What asks a store through its port, so that there can be another one.
ABOVE_THE_PORT = ("api", "apps", "asgi", "checks", "management", "services", "startup", "urls")


def parse(folder: str) -> dict[str, ast.Module]:
    """Every module below a folder by its name."""
    found = {}
    for path in sorted((CHECKOUT / folder).rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


MODULES = parse("backups")
SITE = parse("taskdog")


def imports(tree: ast.Module) -> Iterator[str]:
    """What a module imports, wherever in it: the modules, where a name is one of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [each for each in inner if each in MODULES] or [node.module]


def room(module: str) -> str:
    """``sqlite.format`` of ``backups.sqlite.format.header``; empty for the app itself."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[:1] == ["sqlite"] else 1])


def is_in(module: str, *rooms: str) -> bool:
    return any(
        module == f"backups.{each}" or module.startswith(f"backups.{each}.") for each in rooms
    )


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "backups"


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def test_the_source_is_read_as_it_is() -> None:
    assert {"backups.api.views", "backups.management.commands.backup"} <= set(MODULES)
    assert "backups.services" in set(imports(MODULES["backups.api.views"]))
    assert "backups.sqlite.store" in set(imports(MODULES["backups.site.local_store"]))
    assert {room(name) for name in MODULES} - {"", "sqlite"} == set(FLOOR_OF)


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) not in ("", "sqlite")])
def test_each_room_imports_from_below_only(name: str) -> None:
    here = room(name)
    for module in imports(MODULES[name]):
        if is_ours(module) and room(module) not in ("", here):
            assert FLOOR_OF[room(module)] < FLOOR_OF[here], f"{name} imports {module}"


def test_modules_make_no_circle() -> None:
    below = {
        name: {each for each in imports(tree) if each in MODULES and each != name}
        for name, tree in MODULES.items()
    }
    while lowest := [name for name, others in below.items() if not others]:
        for name in lowest:
            del below[name]
        for others in below.values():
            others.difference_update(lowest)
    assert not below


@pytest.mark.parametrize("name", [name for name in MODULES if is_in(name, *CORE)])
def test_core_imports_the_standard_library_and_the_core(name: str) -> None:
    for module in imports(MODULES[name]):
        assert is_standard(module) or module == "backups" or is_in(module, *CORE), module


def test_client_needs_requests_and_no_django() -> None:
    others = {
        module
        for name in MODULES
        if is_in(name, "client", "unwrapping")
        for module in imports(MODULES[name])
        if not is_standard(module) and not is_in(module, "client", "unwrapping", *CORE)
    }
    assert {module.partition(".")[0] for module in others} <= {
        "backports",
        "compression",  # the standard library's, from Python 3.14 on
        "requests",
        "urllib3",  # which requests needs
    }


@pytest.mark.parametrize("name", [name for name in MODULES if is_in(name, *ABOVE_THE_PORT)])
def test_nothing_above_the_port_asks_which_store_it_is(name: str) -> None:
    assert not [module for module in imports(MODULES[name]) if is_in(module, "sqlite")]


@pytest.mark.parametrize("name", [name for name in MODULES if room(name).startswith("sqlite")])
def test_a_child_starts_without_what_it_does_not_need(name: str) -> None:
    """To import a module runs the ``__init__`` of each folder above it."""
    if (CHECKOUT / Path(*name.split("."), "__init__.py")).exists():
        assert not list(imports(MODULES[name]))
    assert not list(imports(MODULES["backups"]))


@pytest.mark.parametrize("name", MODULES)
def test_backups_does_not_import_taskdog(name: str) -> None:
    assert not [module for module in imports(MODULES[name]) if module.startswith("taskdog")]
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith("taskdog."), "a dotted path is an import too"


@pytest.mark.parametrize("name", SITE)
def test_taskdog_imports_what_is_public(name: str) -> None:
    used = {module for module in imports(SITE[name]) if is_ours(module)}
    assert used <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_is_there(name: str) -> None:
    assert name in MODULES
