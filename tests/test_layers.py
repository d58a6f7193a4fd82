"""The arrows between the modules point one way; read from the source, nothing is imported."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
APP = CHECKOUT / "backups"

# The core knows neither Django nor the network: of this app each may import these, and of the
# rest of the world the standard library.
CORE = {
    "backups": (),
    "backups.environment": (),
    "backups.exceptions": (),
    "backups.landlock": (),
    "backups.limits": (),
    "backups.memory": (),
    "backups.started": (),
    "backups.which_sqlite": (),
    "backups.interpreter": (
        "backups",
        "backups.environment",
        "backups.exceptions",
        "backups.which_sqlite",
    ),
    "backups.child": (
        "backups",
        "backups.environment",
        "backups.exceptions",
        "backups.interpreter",
        "backups.limits",
        "backups.which_sqlite",
        "backups.started",
    ),
    "backups.attributes": ("backups.refusals",),
    "backups.file_system": (),
    "backups.refusals": ("backups.file_system",),
    "backups.process_name": (),
    "backups.lock_holders": ("backups.process_name",),
    "backups.file_locks": ("backups.lock_holders", "backups.refusals"),
    "backups.files": (
        "backups",
        "backups.attributes",
        "backups.exceptions",
        "backups.file_locks",
        "backups.limits",
        "backups.refusals",
    ),
    "backups.store": (),
    "backups.destination": (
        "backups",
        "backups.attributes",
        "backups.files",
        "backups.exceptions",
    ),
    "backups.sqlite": (),
    "backups.sqlite.*": (
        "backups",
        "backups.child",
        "backups.exceptions",
        "backups.file_system",
        "backups.files",
        "backups.landlock",
        "backups.limits",
        "backups.lock_holders",
        "backups.memory",
        "backups.process_name",
        "backups.refusals",
        "backups.sqlite",
        "backups.sqlite.*",
        "backups.started",
        "backups.store",
    ),
}
FRONT = [  # what stands before the services
    "backups.apps",
    "backups.management.*",
    "backups.serializers",
    "backups.startup",
    "backups.urls",
    "backups.views",
]


def modules() -> dict[str, ast.Module]:
    """Every module of the app by its name, parsed."""
    found = {}
    for path in sorted(APP.rglob("*.py")):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


MODULES = modules()


def imports(name: str, *, at_once: bool = False) -> Iterator[str]:
    """What a module imports, wherever in it, or ``at_once``, while it is imported itself."""
    nodes = MODULES[name].body if at_once else ast.walk(MODULES[name])
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{name} has a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            in_app = [each for each in inner if each in MODULES]
            yield from in_app or [node.module]


def matching(*patterns: str) -> list[str]:
    return [name for name in MODULES if any(fnmatch(name, pattern) for pattern in patterns)]


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def test_the_source_is_read_as_it_is() -> None:
    assert {"backups.views", "backups.sqlite.store", "backups.management.commands.backup"} <= set(
        MODULES
    )
    assert "backups.services" in set(imports("backups.views"))
    assert "backups.sqlite.store" in set(imports("backups.local"))


@pytest.mark.parametrize("name", MODULES)
def test_backups_does_not_import_taskdog(name: str) -> None:
    assert not [module for module in imports(name) if module.partition(".")[0] == "taskdog"]
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith("taskdog."), "a dotted path is an import too"


@pytest.mark.parametrize("name", matching(*CORE))
def test_core_imports_only_the_standard_library_and_what_is_below_it(name: str) -> None:
    allowed = [
        pattern for layer, below in CORE.items() if fnmatch(name, layer) for pattern in below
    ]
    others = [module for module in imports(name) if not is_standard(module)]
    wrong = [module for module in others if not any(fnmatch(module, each) for each in allowed)]
    assert not wrong


def test_client_needs_requests_and_no_django() -> None:
    ours = {
        "backups.arrival",
        "backups.client",
        "backups.key_header",
        "backups.remote_body",
        "backups.remote_name",
        "backups.remote_server",
        "backups.remote_snapshot",
        "backups.request_body",
        "backups.server_words",
    }
    others = {module for name in ours for module in imports(name) if not is_standard(module)}
    assert others - ours == {
        "requests",
        "requests.auth",
        "requests.utils",
        "urllib3.exceptions",  # which requests needs
        "backups.destination",
        "backups.exceptions",
        "backups.sqlite.header",  # what arrives is checked as an upload is
        "backups.sqlite.paths",  # how a time is written in a name
        "backups.sqlite.wrappings",
        "backups.unwrapping",
    }


@pytest.mark.parametrize("name", matching(*FRONT))
def test_every_entrance_goes_through_the_services(name: str) -> None:
    assert not [module for module in imports(name) if module.startswith("backups.sqlite")]


def test_nobody_but_services_and_what_they_stand_on_knows_of_sqlite() -> None:
    users = {
        name
        for name in MODULES
        if not name.startswith("backups.sqlite")
        and any(module.startswith("backups.sqlite") for module in imports(name))
    }
    assert users == {
        "backups.services",
        "backups.local",
        "backups.releases",
        # The client looks at what arrives before it gets a name, and gives it one in our form.
        "backups.arrival",
        "backups.remote_name",
    }


def test_what_the_services_stand_on_does_not_know_them() -> None:
    for name in (
        "backups.releases",
        "backups.migrate",
        "backups.local",
        "backups.conf",
        "backups.store",
    ):
        assert "backups.services" not in set(imports(name)), name


def test_arrows_make_no_circle() -> None:
    """But for what the child that migrates imports in a process of its own."""
    below = {
        name: {each for each in imports(name, at_once=True) if each in MODULES} for name in MODULES
    }
    while lowest := [name for name, others in below.items() if not others]:
        for name in lowest:
            del below[name]
        for others in below.values():
            others.difference_update(lowest)
    assert not below
