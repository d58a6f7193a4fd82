"""Which command a process runs: told by Django itself, whatever the program is called."""

import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand

from backups.startup import command_line
from backups.startup.command_line import CommandLine
from tests.backups.commands import run
from tests.processes import run_python
from tests.site import Site

pytestmark = pytest.mark.proof


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> "Callable[..., CommandLine]":
    """What ``ready()`` is told when Django runs these words."""

    def look(*words: str, utility: type[ManagementUtility] = ManagementUtility) -> CommandLine:
        found: list[CommandLine] = []

        def set_up() -> None:
            found.append(command_line.current())
            raise SystemExit

        with mock.patch("django.setup", set_up), pytest.raises(SystemExit):
            utility(["anything", *words]).execute()
        return found[0]

    monkeypatch.setattr(sys, "argv", ["archivebox", "manage", "--deep", *("restore_db",) * 2])
    return look


@pytest.mark.parametrize("name", ["backup", "restore_db"])
def test_command_of_ours_is_known_by_django_s_own_words(
    seen: "Callable[..., CommandLine]", name: str
) -> None:
    found = seen(name, "--status")
    assert found == CommandLine(name, ("--status",))
    assert found.is_ours


def test_command_of_another_app_is_not_ours_whatever_the_system_s_words_are(
    seen: "Callable[..., CommandLine]",
) -> None:
    assert not seen("check").is_ours
    assert not seen("import_taskdog", "backup").is_ours


def test_project_s_own_utility_is_known_as_django_s(seen: "Callable[..., CommandLine]") -> None:
    class Own(ManagementUtility):
        def execute(self) -> None:
            super().execute()

    assert seen("restore_db", utility=Own).is_ours


def test_command_that_only_the_project_finds_is_a_command(
    seen: "Callable[..., CommandLine]",
) -> None:
    class Short(ManagementUtility):
        def fetch_command(self, subcommand: str) -> BaseCommand:
            return super().fetch_command({"m": "migrate"}.get(subcommand, subcommand))

    assert not seen("m", utility=Short).only_tells
    assert seen("m").only_tells


def test_project_s_own_name_for_a_command_of_ours_is_known_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a site has it whose own command is called ``backup`` already."""
    commands = tmp_path / "crm" / "management" / "commands"
    commands.mkdir(parents=True)
    for name, source in (
        ("db_backup", "from backups.management.commands.backup import Command\n"),
        ("tidy", "raise AssertionError('imported')\n"),
    ):
        (commands / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    known = {"db_backup": "crm", "tidy": "crm"}
    monkeypatch.setattr(command_line, "get_commands", lambda: known)
    assert CommandLine("db_backup", ()).is_ours
    assert not CommandLine("tidy", ()).is_ours
    assert not CommandLine("no_such_command", ()).is_ours
    assert "crm.management.commands.tidy" not in sys.modules
    assert "crm.management.commands.db_backup" not in sys.modules


@pytest.mark.parametrize(
    "words",
    [
        ("help",),
        ("help", "migrate"),
        ("version",),
        ("--version",),
        ("--help",),
        ("-h",),
        ("migrat",),
        ("--settings=site.settings", "restore_db", "--status"),
        ("migrate", "--help"),
        ("migrate", "--hel"),
        ("migrate", "-h"),
        ("migrate", "--version"),
    ],
)
def test_help_and_version_only_tell(
    seen: "Callable[..., CommandLine]", words: tuple[str, ...]
) -> None:
    assert seen(*words).only_tells


@pytest.mark.parametrize(
    "words", [("migrate",), ("migrate", "--verbosity", "0"), ("shell", "--", "-h")]
)
def test_command_that_runs_does_more(
    seen: "Callable[..., CommandLine]", words: tuple[str, ...]
) -> None:
    assert not seen(*words).only_tells


def test_completion_of_a_shell_only_tells(
    seen: "Callable[..., CommandLine]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_AUTO_COMPLETE", "1")
    assert seen("migrate").only_tells


@pytest.mark.parametrize(
    ("words", "is_ours"),
    [
        (("manage", "restore_db", "--status"), True),
        (("--debug", "manage", "backup"), True),
        (("restore_db",), True),
        (("-A", "backup", "worker"), False),  # an option's value
        (("--config", "x.py"), False),
        (("check",), False),
        ((), False),
    ],
)
def test_program_that_sets_django_up_itself_is_known_by_the_system_s_words(
    words: tuple[str, ...], is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *words])
    assert command_line.current().is_ours is is_ours


@pytest.mark.parametrize(
    ("words", "only_tells"),
    [
        ("manage help", True),
        ("manage help migrate", True),
        ("manage --version", True),
        ("manage migrate --help", True),
        ("manage migrate -h", True),
        ("manage migrate", False),
        ("manage", False),
        ("status --help", True),
        ("help", True),
        ("serve -h 0.0.0.0", False),
        ("serve", False),
        ("", False),
    ],
)
def test_program_that_sets_django_up_itself_and_only_tells_is_known(
    words: str, only_tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *words.split()])
    assert command_line.current().only_tells is only_tells


# Real processes

WRAPPER = "import sys; from django.core.management import execute_from_command_line as run; "
IN_CODE = "import django; django.setup(); from django.core.management import call_command as run; "
SETTINGS = {"DJANGO_SETTINGS_MODULE": "taskdog.settings"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", f"{WRAPPER}run(['x', 'restore_db', '--status'])", "manage"),
        ("-m", "django", "restore_db", "--status"),
        ("manage.py", "help", "migrate"),
        ("manage.py", "migrate", "--help"),
        ("manage.py", "--version"),
    ],
)
def test_looking_or_asking_for_help_applies_nothing(
    site: Site, snapshot: Path, arguments: tuple[str, ...]
) -> None:
    site.stage(snapshot)
    ended = run_python(*arguments, data_dir=site.data, **site.variables, **SETTINGS)
    assert ended.code == 0, ended.err
    assert site.conclusions() == []
    assert (site.data / "tasks.db.pending-restore").exists()


def test_command_called_from_code_stages_for_the_next_start(site: Site, snapshot: Path) -> None:
    code = f"{IN_CODE}run('restore_db', {str(snapshot)!r}, yes=True)"
    ended = run_python("-c", code, data_dir=site.data, **site.variables, **SETTINGS)
    assert ended.code == 0, ended.err
    assert "Pending:" in ended.out
    assert site.conclusions() == []
    assert "restore applied" in run(site, "check").err
