"""The pages say what the code does: every name that a reader may look for is in them."""

import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import find_commands
from django.utils.module_loading import import_string
from packaging.requirements import Requirement

from backups import conf, urls
from backups.api.errors import STATUS
from backups.sqlite.folder import paths
from backups.startup.command_line import CommandLine
from backups.startup.precedence import OTHER_NAMES
from taskdog.audit import urls as audit_urls
from taskdog.tasks import urls as task_urls
from tests.processes import CHECKOUT, run_manage
from tests.test_layers import PUBLIC

PAGE_NAMES = sorted(path.stem for path in CHECKOUT.glob("docs/*.md"))
PAGES = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md")]
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def page(name: str) -> str:
    """A page, by its name without an ending."""
    return (CHECKOUT / "docs" / f"{name}.md").read_text()


def sources(*folders: str) -> str:
    """All the code of some folders."""
    return "".join(
        path.read_text() for folder in folders for path in sorted((CHECKOUT / folder).rglob("*.py"))
    )


def rows(text: str) -> Iterator[list[str]]:
    """The rows of the tables in a page, each a list of its cells."""
    for line in re.findall(r"^\| (.+) \|$", text, re.MULTILINE):
        yield [cell.strip() for cell in line.split(" | ")]


# Settings


def defaults() -> dict[str, Any]:
    """This app's settings as they are where a project sets none, by the name of each."""
    found: dict[str, Any] = {}

    def get(name: str, default: object) -> object:
        found[name] = default
        return default

    with mock.patch.object(conf, "_get", get):
        for name, member in vars(conf.Settings).items():
            if isinstance(member, property | conf.Setting):
                getattr(conf.conf, name)
    return found


DEFAULTS = defaults()
# What no cell can say by a value.
IN_WORDS = {
    "BACKUPS_NAME": "the project's name",
    "BACKUPS_BACKUP_PERMISSION": "a key with the scope, or staff",
    "BACKUPS_RESTORE_PERMISSION": "a key with the scope, or staff",
    "BACKUPS_KEY_FILE": "beside the database, or in `BACKUPS_FOLDER`",
    "BACKUPS_POSTGRES_PROGRAMS": "those of the server's release, or the newest",
    "BACKUPS_POSTGRES_CONNECTION": "as in `DATABASES`",
    "BACKUPS_KEEP_FREE_BYTES": "64 MiB, or a twentieth of a smaller disk",
    "BACKUPS_MIGRATE_PROCESSOR_SECONDS": "`BACKUPS_MIGRATE_SECONDS`",
    "BACKUPS_NOTIFY_MAIL": "those in `ADMINS`",
    "BACKUPS_MAX_AGE": "by the schedule",
}


def documented() -> dict[str, tuple[str | None, str]]:
    """Of each setting in the table: the site's variable, and the default, in the page's words."""
    found: dict[str, tuple[str | None, str]] = {}
    for names, default, *_ in rows(page("settings")):
        if setting := re.fullmatch(r"`(BACKUPS_\w+)`(?: `(TASKDOG_\w+)`)?", names):
            assert setting[1] not in found, "there is one row for each"
            found[setting[1]] = setting[2], default
    return found


def in_words(value: object) -> str:
    """How the table says a default."""
    if value in ("", None, ()):
        return "none"
    if isinstance(value, bool):
        return f"`{value}`"
    if isinstance(value, str | dict):
        return f"`{json.dumps(value)}`"
    assert isinstance(value, int)
    whole = [f"{value // size} {unit}" for unit, size in UNITS.items() if not value % size]
    return whole[-1] if whole and value else str(value)


def test_every_setting_of_backups_is_documented_and_no_other() -> None:
    assert set(documented()) == set(DEFAULTS)


@pytest.mark.parametrize("setting", sorted(DEFAULTS))
def test_default_of_a_setting_is_the_documented_one(setting: str) -> None:
    assert documented()[setting][1] == (IN_WORDS.get(setting) or in_words(DEFAULTS[setting]))


def read_by_the_site() -> dict[str, tuple[str, object]]:
    """Of each setting that taskdog reads from the environment: the variable, and its default."""
    found = {}
    for node in ast.walk(ast.parse((CHECKOUT / "taskdog/settings.py").read_text())):
        if isinstance(node, ast.Assign) and isinstance(call := node.value, ast.Call):
            (target,) = node.targets
            if "archive." in ast.unparse(call.func):
                continue  # what taskdog/archive.py makes of a variable has another form
            if isinstance(target, ast.Name) and target.id.startswith("BACKUPS_"):
                variables = [each for each in call.args if isinstance(each, ast.Constant)]
                if not variables:  # a function of the site reads more than one, or explains it
                    continue
                (variable,) = variables
                defaults = [each.value for each in call.keywords if each.arg == "default"]
                default = eval(ast.unparse(defaults[0])) if defaults else ""
                found[target.id] = str(variable.value), default
    return found


def test_variable_beside_a_setting_is_the_one_that_sets_it() -> None:
    of_another_form = (CHECKOUT / "taskdog/archive.py").read_text()
    beside = {
        name: variable
        for name, (variable, _) in documented().items()
        if variable and f'"{variable}"' not in of_another_form
    }
    assert beside == {name: variable for name, (variable, _) in read_by_the_site().items()}


@pytest.mark.parametrize(("setting", "default"), [(k, v[1]) for k, v in read_by_the_site().items()])
def test_site_has_the_same_default(setting: str, default: object) -> None:
    """Or 0, where it sets nothing unless the variable is there."""
    known = DEFAULTS[setting]
    assert default in (known, 0) or in_words(default) == in_words(known) == "none"


@pytest.mark.parametrize(
    "variable", sorted(set(re.findall(r'environment\.\w+\(\s*f?"(\w+)"', sources("taskdog"))))
)
def test_every_variable_of_the_site_is_documented(variable: str) -> None:
    assert f"`{variable}`" in page("settings")


def test_no_variable_is_documented_that_nobody_reads() -> None:
    written = set(re.findall(r"`(TASKDOG_\w+)`", "".join(path.read_text() for path in PAGES)))
    assert written - {"TASKDOG_"} <= set(re.findall(r"TASKDOG_\w+", sources("taskdog")))


def test_no_setting_is_named_that_is_not_there() -> None:
    named = re.findall(r"`(BACKUPS_[A-Z_]*[A-Z])\b", "".join(map(page, PAGE_NAMES)))
    assert set(named) <= set(DEFAULTS)


# The HTTP API and the commands


@pytest.mark.parametrize(
    "path",
    sorted(re.sub(r"<\w+:(\w+)>", r"{\1}", str(each.pattern)) for each in urls.urlpatterns),
)
def test_every_endpoint_is_documented(path: str) -> None:
    assert re.search(rf"/api/v1/{re.escape(path)}[`?]", page("http-api"))


@pytest.mark.parametrize(
    "path",
    sorted(
        re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        for pattern in [*task_urls.urlpatterns, *audit_urls.urlpatterns]
    ),
)
def test_every_endpoint_of_the_site_is_documented(path: str) -> None:
    first, _, verb = path.rpartition("/")
    if first in ("tasks/{task_id}", "tasks/bulk"):  # one row names all verbs
        assert f"`{verb}`" in page("tasks-api") or f"/{verb}`" in page("tasks-api")
    else:
        assert re.search(rf"/api/v1/{re.escape(path)}[`?]", page("tasks-api"))


@pytest.mark.parametrize("status", sorted({str(s) for s in STATUS.values()}))
def test_every_status_is_documented(status: str) -> None:
    assert any(status in first.split(", ") for first, *_ in rows(page("http-api")))


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("backup", "commands"),
        ("restore_db", "commands"),
        ("create_api_key", "commands"),
        ("api_keys", "commands"),
        ("import_taskdog", "tasks-api"),
        ("export_tasks", "tasks-api"),
    ],
)
def test_every_option_of_a_command_is_documented(command: str, where: str, tmp_path: Path) -> None:
    shown = run_manage(command, "--help", data_dir=tmp_path).out
    own = shown.partition("options:")[2].partition("--version")[0]
    assert f"manage.py {command} " in page(where)
    for option in set(re.findall(r"--[a-z-]+", own)) - {"--help"}:
        assert re.search(rf"(?<!\w){ {'--output': '-o'}.get(option, option) }\b", page(where)), (
            option
        )


@pytest.mark.parametrize("command", ["backup", "restore_db", "create_api_key"])
def test_no_option_is_written_that_a_command_does_not_have(command: str, tmp_path: Path) -> None:
    shown = run_manage(command, "--help", data_dir=tmp_path).out
    uses = re.findall(rf"manage\.py {command}\b([^\n#`]*)", "".join(map(page, PAGE_NAMES)))
    written = set(re.findall(r"(?<!\S)\[?(--[a-z-]+)", " ".join(uses)))
    assert written <= set(re.findall(r"--[a-z-]+", shown))


def test_every_command_that_applies_no_restore_is_named() -> None:
    ours = set(find_commands(str(CHECKOUT / "backups/management"))) - set(OTHER_NAMES.values())
    section = page("commands").partition("## When a command applies")[2].partition("\n## ")[0]
    assert {name for name in ours if CommandLine(name, ()).is_ours} == ours
    assert ours <= set(re.findall(r"`(\w+)`", section))


# What is beside the database, and in the log


@pytest.mark.parametrize("kind", paths.TEMPORARY)
def test_every_temporary_file_is_documented(kind: str) -> None:
    assert f".{kind}-<random>`" in page("how-restore-works")


@pytest.mark.parametrize(
    "suffix",
    [
        ".api-keys.json",
        ".api-keys.json.used/",
        ".lock",
        ".pending-restore",
        ".pending-restore.<hash>.json",
        ".pre-restore-<time>",
        ".refused-restore-<time>",
        ".restore-receipts.jsonl",
        ".sent-snapshots.jsonl",
        ".backup-receipts.jsonl",
        ".backups-state.json",
    ],
)
def test_every_lasting_file_is_documented(suffix: str) -> None:
    assert f"`tasks.db{suffix}`" in page("how-restore-works")


def test_what_the_log_is_said_to_say_is_in_the_code() -> None:
    _, _, table = page("operations").partition("## What the log says")
    lines = [re.fullmatch(r"`(.+)`", first) for first, *_ in rows(table)]
    said = [words.strip(" (") for line in lines if line for words in line[1].split("…")]
    code = re.sub(r'"\s+f?"', "", sources("backups"))  # a message may be written in pieces
    assert len(said) > 15
    assert [words for words in said if words not in code] == []


def test_messages_on_postgresql_that_are_explained_are_in_the_code() -> None:
    _, _, rest = page("operations").partition("\n## On PostgreSQL")
    table, _, _ = rest.partition("\n## ")
    cells = [first for first, *_ in rows(table) if first.startswith("`")]
    shown = [words for cell in cells for words in re.findall("`([^`]+)`", cell)]
    said = [part.strip(" (") for words in shown for part in words.split("…") if part.strip()]
    code = re.sub(r'"\s+f?"', "", sources("backups"))
    assert len(said) > 25
    assert [words for words in said if words.partition(": gunicorn")[0] not in code] == []


# The code


@pytest.mark.parametrize(
    "room",
    sorted(
        str(path.parent.relative_to(CHECKOUT))
        for depth in ("*", "sqlite/*")
        for path in (CHECKOUT / "backups").glob(f"{depth}/__init__.py")
    ),
)
def test_every_room_of_the_house_is_described(room: str) -> None:
    assert f"\n| `{room}/` | " in (CHECKOUT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            name
            for path in PAGES
            for name in re.findall(r"(?<![.\w])backups(?:\.[a-z_]\w*)+(?:\.\w+)*", path.read_text())
        }
        - {"backups.urls", "backups.page.urls"}
    ),
)
def test_everything_that_a_page_lets_others_import_is_public(name: str) -> None:
    module = name if name in PUBLIC else name.rpartition(".")[0]
    assert module in PUBLIC
    assert import_module(name) if name == module else import_string(name)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_each_file_of_the_code_that_a_page_names_is_there(path: Path) -> None:
    places = r"(?<![\w./-])(?:backups|taskdog|tests|benchmarks)/[\w/.-]*\w/?"
    named = re.findall(places, path.read_text())
    folders = (CHECKOUT, CHECKOUT / "backups/templates")
    assert [each for each in named if not any((at / each).exists() for at in folders)] == []


# Links and versions


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings of a page, and so does the site of `make docs`."""
    text = re.sub(r"^(    |```).*", "", path.read_text(), flags=re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", path.read_text()):
        to = path.parent / target if target else path
        if not to.exists() or (anchor and anchor not in anchors(to)):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def test_every_page_is_in_the_readme_and_on_the_site() -> None:
    readme, site = (CHECKOUT / "README.md").read_text(), (CHECKOUT / "docs/index.rst").read_text()
    for name in PAGE_NAMES:
        assert f"(docs/{name}.md)" in readme
        assert f"\n   {name}\n" in site


@pytest.mark.parametrize(
    "target",
    sorted({t for p in PAGES for t in re.findall(r"(?m)(?:^    |`)make ([a-z-]+)", p.read_text())}),
)
def test_every_target_in_the_pages_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)


def test_pinned_packages_are_the_installed_ones() -> None:
    text = (CHECKOUT / "requirements.txt").read_text()
    lines = re.findall(r"^[\w.-]+==[^\\\n]+", text, re.MULTILINE)
    pins = [
        requirement
        for requirement in map(Requirement, lines)
        if requirement.marker is None or requirement.marker.evaluate()
    ]
    assert [f"{pin.name}=={version(pin.name)}" for pin in pins] == [
        f"{pin.name}{pin.specifier}" for pin in pins
    ]
