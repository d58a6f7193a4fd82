"""The arrows between the rooms run down; read from the source, nothing is imported."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
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
    ("sqlite.format", "sqlite.locking"),
    ("sqlite.records",),
    ("client", "sqlite.kept", "sqlite.site"),
    ("sqlite.checking", "sqlite.disk_space"),
    ("sqlite.restores", "sqlite.snapshots"),
    ("sqlite.store",),
    ("postgres",),
    ("site",),
    ("services",),
    ("archive",),
    ("notices",),
    ("schedule",),
    ("api", "startup"),
    ("asgi", "management", "templatetags", "urls"),
    ("page",),
    ("checks",),
    ("apps",),
)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}

# What knows neither Django nor the network: of the rest of the world, the standard library, and
# PostgreSQL's driver where that store is.
CORE = ("disk", "exceptions", "postgres", "processes", "sqlite", "store", "which_sqlite")
DRIVER = "psycopg"
# What a store is; and the checks of the settings that only one of them has.
STORES = ("postgres", "sqlite")
CHECKS_OF_SQLITE = ("backups.checks.connections", "backups.checks.database")
CHECKS_OF_A_STORE = (*CHECKS_OF_SQLITE, "backups.checks.postgres")
# What asks a store through its port, so that there can be another one.
ABOVE_THE_PORT = (
    "archive",
    "api",
    "apps",
    "asgi",
    "checks",
    "management",
    "notices",
    "page",
    "schedule",
    "services",
    "startup",
    "templatetags",
    "urls",
)


@cache
def parse(folder: str) -> dict[str, ast.Module]:
    """Every module below a folder by its name."""
    found = {}
    for path in sorted((CHECKOUT / folder).rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


def modules(*rooms: str) -> dict[str, ast.Module]:
    """Every module of the app; of these rooms, if any are named."""
    found = parse("backups")
    return {name: found[name] for name in found if not rooms or is_in(name, *rooms)}


def imports(tree: ast.Module) -> Iterator[str]:
    """What a module imports, wherever in it: the modules, where a name is one of ours."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [each for each in inner if each in parse("backups")] or [node.module]


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


def wrong(modules: dict[str, ast.Module], is_wrong: Callable[[str, str], bool]) -> list[str]:
    """``one imports other`` for each import for which ``is_wrong(one, other)``."""
    return [
        f"{name} imports {module}"
        for name, tree in modules.items()
        for module in imports(tree)
        if is_wrong(name, module)
    ]


def test_the_source_is_read_as_it_is() -> None:
    assert {"backups.api.views", "backups.management.commands.backup"} <= set(modules())
    assert "backups.services" in set(imports(modules()["backups.api.views"]))
    assert "backups.sqlite.store" in set(imports(modules()["backups.site.sqlite_site"]))
    assert {room(name) for name in modules()} - {"", "sqlite"} == set(FLOOR_OF)


def test_each_room_imports_from_below_only() -> None:
    def is_wrong(name: str, module: str) -> bool:
        here, there = room(name), room(module)
        if not is_ours(module) or there in ("", here) or here in ("", "sqlite"):
            return False
        return FLOOR_OF[there] >= FLOOR_OF[here]

    assert not wrong(modules(), is_wrong)


def test_modules_make_no_circle() -> None:
    below = {
        name: {each for each in imports(tree) if each in modules() and each != name}
        for name, tree in modules().items()
    }
    while lowest := [name for name, others in below.items() if not others]:
        for name in lowest:
            del below[name]
        for others in below.values():
            others.difference_update(lowest)
    assert not below


def test_core_imports_the_standard_library_and_the_core() -> None:
    def is_wrong(name: str, module: str) -> bool:
        if is_in(name, "postgres") and module.partition(".")[0] == DRIVER:
            return False
        return not (is_standard(module) or module == "backups" or is_in(module, *CORE))

    assert not wrong(modules(*CORE), is_wrong)


def test_sqlite_knows_no_other_store() -> None:
    assert not wrong(modules("sqlite"), lambda _, module: is_in(module, "postgres"))


def test_client_needs_requests_and_no_django() -> None:
    others = {
        module
        for tree in modules("client", "unwrapping").values()
        for module in imports(tree)
        if not is_standard(module) and not is_in(module, "client", "unwrapping", *CORE)
    }
    assert {module.partition(".")[0] for module in others} <= {
        "backports",
        "compression",  # the standard library's, from Python 3.14 on
        "requests",
        "urllib3",  # which requests needs
    }


def test_nothing_above_the_port_imports_a_store() -> None:
    assert not wrong(modules(*ABOVE_THE_PORT), lambda _, module: is_in(module, *STORES))


def test_only_the_checks_of_a_store_know_how_a_site_sets_it_up() -> None:
    """``site.local_store`` says what any store can be asked."""
    own = ("site.sqlite_site", "site.postgres_site", "site.engine")
    found = wrong(modules(*ABOVE_THE_PORT), lambda _, module: is_in(module, *own))
    assert {each.partition(" ")[0] for each in found} == set(CHECKS_OF_SQLITE)


def asks_which_store(tree: ast.Module) -> Iterator[str]:
    """
    Where a module asks for the kind of a database: its ``vendor``, a class of a store, or a word
    for a kind in a comparison, a match, or as a key.
    """
    kinds = {"sqlite", "postgresql", "postgres", "PGDMP", ".db", ".dump", "dump", "pages"}
    for node in ast.walk(tree):
        asked: list[ast.AST | None] = []
        if isinstance(node, ast.Attribute) and node.attr in ("vendor", "ENGINE"):
            yield f"line {node.lineno}: {node.attr}"
        elif isinstance(node, ast.Name) and node.id.endswith("BackupStore"):
            if node.id != "BackupStore":
                yield f"line {node.lineno}: {node.id}"
        elif isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            asked = [node.value]
        elif isinstance(node, ast.Subscript):
            asked = [node.slice]
        for value in asked:
            for each in ast.walk(value) if value is not None else ():
                if isinstance(each, ast.Constant) and each.value in (*kinds, "ENGINE"):
                    yield f"line {each.lineno}: {each.value!r}"


def test_nothing_above_the_port_asks_which_store_it_is() -> None:
    found = {
        name: list(asks_which_store(tree))
        for name, tree in modules(*ABOVE_THE_PORT).items()
        if name not in CHECKS_OF_A_STORE
    }
    assert not {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize(
    "asking",
    [
        'connections["default"].vendor',
        'given == "sqlite"',
        'word in ("postgresql", "x")',
        'found["ENGINE"]',
        "isinstance(store, SqliteBackupStore)",
        'name.suffix == ".dump"',
    ],
)
def test_each_way_to_ask_is_seen(asking: str) -> None:
    assert list(asks_which_store(ast.parse(asking)))


def test_a_child_starts_without_what_it_does_not_need() -> None:
    """To import a module runs the ``__init__`` of each folder above it."""
    for name, tree in modules().items():
        is_folder = (CHECKOUT / Path(*name.split("."), "__init__.py")).exists()
        if is_folder and (name == "backups" or room(name).startswith(STORES)):
            assert not list(imports(tree)), name


def test_backups_does_not_import_taskdog() -> None:
    assert not wrong(modules(), lambda _, module: module.startswith("taskdog"))
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.startswith("taskdog."), f"{name}: a path is an import too"


def test_taskdog_imports_what_is_public() -> None:
    assert not wrong(parse("taskdog"), lambda _, module: is_ours(module) and module not in PUBLIC)


def test_what_is_public_is_there() -> None:
    assert PUBLIC
    assert set(PUBLIC) <= set(modules())


def children() -> set[str]:
    """The modules that a process is started for: their names stand in the text of others."""
    named = {
        node.value
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {
        name
        for name in named.intersection(modules())
        if "main" in {getattr(node, "name", "") for node in modules()[name].body}
    }


def test_what_runs_in_a_separate_process_is_called_a_child() -> None:
    called = {name for name in modules() if name.endswith("_child")}
    assert called == children()
    assert len(called) >= 5


def test_nobody_imports_a_child() -> None:
    """Whether a module may open the live file depends on the process that it is in."""
    assert not wrong(modules(), lambda _, module: module.endswith("_child"))
