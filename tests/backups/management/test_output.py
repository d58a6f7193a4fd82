"""Commands that print, with a standard output that is full, closed, or that nobody reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backups.keys.api_keys import create_key, find_key, read_keys
from tests.processes import CHECKOUT, environment
from tests.site import Site

FULL = (">/dev/full", "Standard output could not be written: No space left on device.")
CLOSED = (">&-", "Standard output is closed.")
LOST = pytest.mark.parametrize(("lost", "said"), [FULL, CLOSED], ids=["full", "closed"])


def run(site: Site, line: str, stdout: int = subprocess.DEVNULL) -> tuple[int, str]:
    """Run a line of shell in which $manage is the command; its exit code and standard error."""
    variables = environment(
        site.data, **site.variables, manage=f"{sys.executable} {CHECKOUT / 'manage.py'}"
    )
    variables.pop("PYTHONUNBUFFERED", None)  # what is buffered fails later
    ended = subprocess.run(
        ["sh", "-c", line],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    return ended.returncode, ended.stderr


@pytest.fixture
def keys(site: Site) -> Path:
    """The file of the keys, with one key."""
    path = site.data / "api_keys.json"
    create_key(path, name="old")
    return path


@LOST
@pytest.mark.proof
def test_key_that_nobody_has_seen_is_not_made(site: Site, keys: Path, lost: str, said: str) -> None:
    before = read_keys(keys)
    code, err = run(site, f"$manage create_api_key new {lost}")
    assert (code, read_keys(keys)) == (1, before)
    assert f"{said} So no key was made." in err
    code, err = run(site, "$manage create_api_key new >/dev/null")
    assert code == 0, err


@LOST
@pytest.mark.proof
def test_new_key_that_nobody_has_seen_can_be_rotated_again(
    site: Site, keys: Path, lost: str, said: str
) -> None:
    code, err = run(site, f"$manage api_keys rotate old {lost}")
    assert code == 1
    assert f"{said} The old key has ended, and nobody can see the new one: rotate it" in err
    printed = site.data / "printed"
    assert run(site, f"$manage api_keys rotate old >{printed}")[0] == 0
    found = find_key(read_keys(keys), printed.read_text().strip())
    assert found is not None
    assert found.name == "old"


def test_caller_s_own_stream_gets_what_is_printed(site: Site) -> None:
    """As under a server whose standard output is closed."""
    script = (
        "import io, sys, django; django.setup(); from django.core.management import call_command;"
        " out = io.StringIO(); call_command('create_api_key', 'new', stdout=out);"
        " call_command('api_keys', stdout=out); sys.stderr.write(out.getvalue())"
    )
    settings = f"DJANGO_SETTINGS_MODULE=taskdog.settings PYTHONPATH={CHECKOUT}"
    code, err = run(site, f'{settings} {sys.executable} -c "{script}" >&-')
    assert code == 0, err
    assert err.count("new") > 1


@pytest.mark.parametrize("lost", [FULL[0], CLOSED[0]])
@pytest.mark.proof
def test_key_is_revoked_whoever_hears_of_it(site: Site, keys: Path, lost: str) -> None:
    code, err = run(site, f"$manage api_keys revoke old {lost}")
    assert code == 0
    assert "The key 'old' is revoked: it no longer works." in err
    assert "old" not in {key.name for key in read_keys(keys)}


@LOST
@pytest.mark.parametrize("command", ["api_keys", "api_keys list --json", "export_tasks"])
@pytest.mark.proof
def test_list_that_can_not_be_written_is_an_error(
    site: Site, keys: Path, command: str, lost: str, said: str
) -> None:
    code, err = run(site, f"$manage {command} {lost}")
    assert code == 1
    assert said in err


@pytest.mark.parametrize("command", ["api_keys", "export_tasks"])
@pytest.mark.proof
def test_reader_that_has_gone_is_told(site: Site, keys: Path, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        code, err = run(site, f"$manage {command}", stdout=write)
    finally:
        os.close(write)
    assert code == 1
    assert "stopped before its end." in err
