"""The pages say what the code does: every name that a reader may look for is in them."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from django.urls import reverse
from packaging.requirements import Requirement

from backups import conf
from backups.api.errors import STATUS
from backups.sqlite.folder import paths
from taskdog.audit import urls as audit_urls
from taskdog.tasks import urls as task_urls
from tests.processes import CHECKOUT, run_manage

README = (CHECKOUT / "README.md").read_text()
HOW_RESTORE_WORKS = (CHECKOUT / "docs" / "how-restore-works.md").read_text()


def sources(*folders: str) -> str:
    """All the code of some folders."""
    return "".join(
        path.read_text() for folder in folders for path in sorted((CHECKOUT / folder).rglob("*.py"))
    )


@pytest.mark.parametrize(
    "setting", sorted(set(re.findall(r'_get\("(\w+)"', Path(conf.__file__).read_text())))
)
def test_every_setting_of_backups_is_documented(setting: str) -> None:
    assert f"`{setting}`" in README


@pytest.mark.parametrize(
    "variable", sorted(set(re.findall(r'environment\.\w+\(\s*f?"(\w+)"', sources("taskdog"))))
)
def test_every_variable_of_the_site_is_documented(variable: str) -> None:
    assert f"`{variable}`" in README


def test_no_variable_is_documented_that_nobody_reads() -> None:
    documented = set(re.findall(r"`(TASKDOG_\w+)`", README))
    assert documented <= set(re.findall(r"TASKDOG_\w+", sources("taskdog")))


@pytest.mark.parametrize("name", ["backup", "restore", "undo", "restores"])
def test_every_endpoint_is_documented(name: str) -> None:
    assert f"{reverse(f'backups:{name}')}`" in README


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
        assert f"`{verb}`" in README or f"/{verb}`" in README
    else:
        assert re.search(rf"/api/v1/{re.escape(path)}[`?]", README)


@pytest.mark.parametrize("status", sorted({str(s) for s in STATUS.values()} - {"500"}))
def test_every_status_is_documented(status: str) -> None:
    assert re.search(rf"^\|.*\b{status}\b", README, re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    ["backup", "restore_db", "create_api_key", "api_keys", "import_taskdog", "export_tasks"],
)
def test_every_option_of_a_command_is_documented(command: str, tmp_path: Path) -> None:
    shown = run_manage(command, "--help", data_dir=tmp_path).out
    own = shown.partition("options:")[2].partition("--version")[0]
    for option in set(re.findall(r"--[a-z-]+", own)) - {"--help"}:
        assert {"--output": "-o"}.get(option, option) in README


@pytest.mark.parametrize("kind", paths.TEMPORARY)
def test_every_temporary_file_is_documented(kind: str) -> None:
    assert f".{kind}-<random>`" in HOW_RESTORE_WORKS


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
    ],
)
def test_every_lasting_file_is_documented(suffix: str) -> None:
    assert f"`tasks.db{suffix}`" in HOW_RESTORE_WORKS


@pytest.mark.parametrize("target", re.findall(r"^    make ([a-z-]+)", README, re.MULTILINE))
def test_every_target_in_the_readme_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/how-restore-works.md",
        "docs/how-snapshots-work.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "docs/security.md",
    ],
)
def test_every_link_leads_to_a_file(page: str) -> None:
    path = CHECKOUT / page
    links = re.findall(r"\]\((?!http)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


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
