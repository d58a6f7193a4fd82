"""``manage.py backup`` as real processes, on this machine's store and on a real server."""

import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backups.sqlite.folder.paths import StorePaths
from backups.sqlite.locking.turns import UploadTurn
from tests.backups.commands import Ended, end, failing_checks, run, start
from tests.backups.uploads import BAD, add_ballast, add_tasks
from tests.backups.waiting import until
from tests.backups.wire import Request, as_database, standing_in
from tests.processes import CHECKOUT, environment
from tests.site import Server, Site, copy_site, task_names

pytestmark = pytest.mark.proof

NAME = r"taskdog-backup-\d{8}-\d{6}\.db"
LARGE = 60  # MB: long enough on its way to be interrupted


@pytest.fixture(scope="module")
def local(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site on this machine with the task 'local', which no test here changes."""
    site = copy_site(template_site, tmp_path_factory.mktemp("local") / "data")
    add_tasks(site.database, "local")
    return site


@pytest.fixture(scope="module")
def remote(template_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server somewhere else with the task 'remote'."""
    site = copy_site(template_site, tmp_path_factory.mktemp("remote") / "data")
    add_tasks(site.database, "remote")
    with site.serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands are run and write to: empty before."""
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def is_begun(folder: Path) -> bool:
    """Whether ``mine.db`` is on its way."""
    return any(re.fullmatch(r"mine\.db\.backups-\w+\.part", name) for name in names(folder))


# A file


def test_backup_writes_the_file_and_prints_its_path(local: Site, folder: Path) -> None:
    ended = run(local, "backup", cwd=folder)
    assert ended.code == 0, ended.err
    assert re.fullmatch(NAME + "\n", ended.out)
    path = folder / ended.out.strip()
    assert names(folder) == [path.name]
    assert task_names(path) == ["local"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "is whole and on the disk" in ended.err


def test_backup_that_finds_no_turn_for_its_check_is_kept_and_says_so(
    site: Site, folder: Path
) -> None:
    taken, path = StorePaths.of(site.database), folder / "unchecked.db"
    with UploadTurn(taken, at_once=2), UploadTurn(taken, at_once=2):
        ended = run(site, "backup", "--check", "-o", str(path))
    assert (ended.out, ended.code) == (f"{path}\n", 1)
    assert f"CommandError: {path} is kept, but it was not checked: 2 uploads" in ended.err


def test_backup_with_defects_is_kept_and_the_exit_code_tells_if_it_is_checked(
    site: Site, folder: Path
) -> None:
    good = run(site, "backup", "--check", "-o", str(folder / "good.db"))
    assert good.code == 0, good.err
    assert "nothing is wrong with it" in good.err
    again = run(site, "backup", "--check", "-v", "0", "--force", "-o", str(folder / "good.db"))
    assert (again.out, again.err, again.code) == ("", "", 0)
    BAD["broken reference"].spoil(site.database)
    place = "rows of notes that refer to no row of tasks (1)"

    taken = run(site, "backup", "-o", str(folder / "taken.db"))
    assert taken.code == 0, taken.err
    assert f"Warning: the database has old defects: {place}. See which with --check." in taken.err

    path = folder / "checked.db"
    checked = run(site, "backup", "--check", "-o", str(path))
    assert (checked.out, checked.code) == (f"{path}\n", 1)
    assert f"CommandError: {path} is kept. The snapshot has 1 defect: {place}." in checked.err
    quiet = run(site, "backup", "--check", "-v", "0", "-o", str(folder / "quiet.db"))
    assert (quiet.out, quiet.code) == ("", 1)
    assert "The snapshot has 1 defect" in quiet.err
    assert names(folder) == ["checked.db", "good.db", "quiet.db", "taken.db"]


def test_check_needs_a_file(site: Site) -> None:
    ended = run(site, "backup", "--check", "-o", "-")
    assert (ended.out, ended.code) == ("", 1)
    assert "--check needs a file" in ended.err


def test_backup_goes_where_it_is_asked_to(local: Site, folder: Path) -> None:
    path = folder / "mine.db"
    ended = run(local, "backup", "-o", str(path))
    assert (ended.out, ended.code) == (f"{path}\n", 0), ended.err
    assert names(folder) == ["mine.db"]
    assert task_names(path) == ["local"]


def test_backup_into_a_folder_is_named_after_the_time(local: Site, folder: Path) -> None:
    ended = run(local, "backup", "--output", str(folder))
    assert ended.code == 0, ended.err
    (name,) = names(folder)
    assert re.fullmatch(NAME, name)
    assert ended.out == f"{folder / name}\n"


def test_backup_to_standard_output_is_the_database_and_nothing_else(
    local: Site, folder: Path
) -> None:
    ended = run(local, "backup", "-o", "-", cwd=folder)
    assert ended.code == 0, ended.err
    assert names(folder) == []
    path = folder / "piped.db"
    path.write_bytes(ended.stdout)
    assert task_names(path) == ["local"]


def test_backup_taken_while_the_site_is_served_leaves_the_site_alone(
    site: Site, folder: Path
) -> None:
    with site.serving() as server:
        server.http.headers["Connection"] = "close"  # else its stop waits for the next request
        server.add_task("committed")
        ended = run(site, "backup", "-o", str(folder / "mine.db"))
        assert ended.code == 0, ended.err
        assert server.task_names() == ["committed"]
    assert task_names(folder / "mine.db") == ["committed"]


@pytest.mark.parametrize(
    ("option", "method"),
    [((), "compact"), (("--compact",), "compact"), (("--no-compact",), "pages")],
)
@pytest.mark.parametrize("compress", [(), ("--compress",)])
def test_backup_is_of_the_kind_that_was_asked_for_and_says_so(
    site: Site, folder: Path, option: tuple[str, ...], method: str, compress: tuple[str, ...]
) -> None:
    """Of a server with, and of this machine's store without compression."""
    path = folder / "mine.db"
    if compress:
        with site.serving() as server:
            remote = ("--url", server.url, *compress)
            variables = {"TASKDOG_API_KEY": site.key}
            ended = run(site, "backup", "-o", str(path), *option, *remote, variables=variables)
    else:
        ended = run(site, "backup", "-o", str(path), *option)
    assert ended.code == 0, ended.err
    assert f" kB, {method}) is whole and on the disk" in ended.err
    assert task_names(path) == []


def test_backup_of_this_machine_cannot_be_compressed(local: Site, folder: Path) -> None:
    ended = run(local, "backup", "--compress", cwd=folder)
    assert (ended.out, ended.code) == ("", 1)
    assert "--compress is for a download from a server" in ended.err
    assert names(folder) == []


# Refused


def test_backup_refuses_to_overwrite_without_force(local: Site, folder: Path) -> None:
    path = folder / "mine.db"
    path.write_bytes(b"old")
    ended = run(local, "backup", "-o", str(path))
    assert (ended.out, ended.code) == ("", 1)
    assert f"{path} already exists." in ended.err
    assert "--force" in ended.err
    assert path.read_bytes() == b"old"
    assert names(folder) == ["mine.db"]

    ended = run(local, "backup", "-o", str(path), "--force")
    assert ended.code == 0, ended.err
    assert task_names(path) == ["local"]
    assert names(folder) == ["mine.db"]


@pytest.mark.parametrize("suffix", ["", "-wal", ".pending-restore"])
def test_backup_never_writes_onto_the_live_database_or_what_belongs_to_it(
    local: Site, suffix: str
) -> None:
    before = local.files()
    path = f"{local.database}{suffix}"
    ended = run(local, "backup", "-o", path, "--force")
    assert (ended.out, ended.code) == ("", 1)
    assert f"{path} is reserved for files of the live database." in ended.err
    assert local.files() == before


@pytest.mark.parametrize("name", ["api_keys.json", "secret_key", "hard.db", "soft.db"])
def test_backup_never_writes_onto_the_keys_or_the_secret(
    site: Site, folder: Path, name: str
) -> None:
    (folder / "hard.db").hardlink_to(site.data / "secret_key")
    (folder / "soft.db").symlink_to(site.data / "api_keys.json")
    before = site.files()
    path = (folder if name.endswith(".db") else site.data) / name
    ended = run(site, "backup", "-o", str(path), "--force")
    assert (ended.out, ended.code) == ("", 1)
    assert f"{path} is reserved for" in ended.err
    assert site.files() == before
    assert names(folder) == ["hard.db", "soft.db"]


def naming(name: str) -> Callable[[Request], None]:
    """A server that chooses this name."""
    database = as_database(bytes(4096))

    def choose(request: Request) -> None:
        headers = {
            "Content-Length": str(len(database)),
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        request.reply(200, headers, database)

    return choose


@pytest.mark.parametrize("name", ["tasks.db", ".bash_profile", "Makefile", "secret_key"])
def test_remote_server_chooses_no_name_but_in_our_form(
    local: Site, folder: Path, name: str
) -> None:
    (folder / name).write_bytes(b"mine")
    with standing_in(naming(name)) as server:
        arguments = ("backup", "--url", server.url, "--force")
        ended = run(local, *arguments, cwd=folder, variables={"TASKDOG_API_KEY": "key"})
    assert ended.code == 0, ended.err
    assert re.fullmatch(r"127-0-0-1-backup-\d{8}-\d{6}\.db\n", ended.out)
    assert "the file is named here" in ended.err
    assert names(folder) == sorted([ended.out.strip(), name])
    assert (folder / name).read_bytes() == b"mine"


def test_remote_server_does_not_choose_which_backup_force_replaces(
    local: Site, folder: Path
) -> None:
    name = "taskdog-backup-20261123-024538.db"
    (folder / name).write_bytes(b"an older backup")
    with standing_in(naming(name)) as server:
        arguments = ("backup", "--url", server.url, "--force")
        ended = run(local, *arguments, cwd=folder, variables={"TASKDOG_API_KEY": "key"})
    assert (ended.out, ended.code) == ("taskdog-backup-20261123-024538-2.db\n", 0), ended.err
    assert (folder / name).read_bytes() == b"an older backup"


def test_key_goes_to_another_machine_in_plain_http_only_when_asked_to(
    local: Site, folder: Path
) -> None:
    with standing_in(naming("any.db")) as proxy:
        variables = {"TASKDOG_API_KEY": "key", "HTTP_PROXY": proxy.url, "NO_PROXY": ""}
        named = variables | {"TASKDOG_API_BASE_URL": "http://tasks.invalid"}
        for arguments, given in (
            (("backup", "--url", "http://tasks.invalid"), variables),
            (("backup",), named),
            (("restore_db", "--status"), named),
        ):
            ended = run(local, *arguments, cwd=folder, variables=given)
            assert (ended.out, ended.code) == ("", 2)
            assert "http://tasks.invalid is plain http" in ended.err
            assert "--insecure" in ended.err
            assert "https" in ended.err
        assert proxy.asked == []
        assert names(folder) == []

        insecure = named | {"TASKDOG_API_INSECURE": "1"}
        for arguments, given in ((("backup", "--insecure"), named), (("backup",), insecure)):
            ended = run(local, *arguments, cwd=folder, variables=given)
            assert ended.code == 0, ended.err
    assert len(names(folder)) == len(proxy.asked) == 2


def test_what_a_killed_download_left_is_gone_after_the_next_into_that_folder(
    local: Site, folder: Path
) -> None:
    killed = threading.Event()

    def stall(request: Request) -> None:
        request.reply(200, {"Content-Length": "8192"}, as_database(bytes(8192))[:4096])
        killed.wait(20)

    with standing_in(stall) as slow:
        variables = {"TASKDOG_API_KEY": "key", "TASKDOG_API_BASE_URL": slow.url}
        process = start(local, "backup", "-o", str(folder / "mine.db"), variables=variables)
        until(lambda: is_begun(folder))
        ended = run(local, "backup", "-o", str(folder / "other.db"))
        assert ended.code == 0, ended.err
        assert is_begun(folder)  # while it lives, it is left alone
        process.kill()
        end(process)
        killed.set()
    assert is_begun(folder)
    ended = run(local, "backup", "-o", str(folder / "third.db"))
    assert ended.code == 0, ended.err
    assert names(folder) == ["other.db", "third.db"]


@pytest.mark.parametrize(
    ("output", "words"),
    [("none/mine.db", "There is no folder none."), ("x" * 300, "File name too long")],
)
def test_backup_to_a_place_that_cannot_be_is_refused_in_a_sentence(
    local: Site, folder: Path, output: str, words: str
) -> None:
    ended = run(local, "backup", "-o", output, cwd=folder)
    assert (ended.out, ended.code) == ("", 1)
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert names(folder) == []


def test_folder_that_is_not_there_is_not_taken_for_a_file(local: Site, folder: Path) -> None:
    ended = run(local, "backup", "-o", "new/", cwd=folder)
    assert ended.code == 1
    assert "There is no folder new/" in ended.err
    assert list(folder.iterdir()) == []


def test_backup_is_not_printed_on_a_terminal(local: Site) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as terminal, os.fdopen(ours, "rb"):
        ended = end(start(local, "backup", "-o", "-", stdout=terminal))
    assert ended.code == 1
    assert "A snapshot is not for a terminal" in ended.err


# Failures


@pytest.mark.parametrize("content", [None, b"", b"garbage" * 1000])
def test_backup_of_a_database_that_cannot_be_read_leaves_nothing(
    site: Site, folder: Path, content: bytes | None
) -> None:
    if content is None:
        site.database.unlink()
    else:
        site.database.write_bytes(content)
    before = site.files()
    ended = run(site, "backup", "-o", str(folder))
    assert (ended.out, ended.code) == ("", 1)
    assert str(site.database) in ended.err
    assert "Traceback" not in ended.err
    assert names(folder) == []
    assert site.files() == before


def test_standard_output_that_is_full_is_an_error_in_a_sentence(local: Site) -> None:
    with open("/dev/full", "wb") as full:
        ended = end(start(local, "backup", "-o", "-", stdout=full))
    assert ended.code == 1
    assert "Standard output could not be written: No space left on device." in ended.err
    assert "Traceback" not in ended.err
    assert "Exception ignored" not in ended.err


def test_reader_that_goes_away_is_an_error_in_a_sentence(local: Site) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        ended = end(start(local, "backup", "-o", "-", stdout=pipe))
    assert ended.code == 1
    assert "The program that read the snapshot stopped before its end." in ended.err
    assert "Traceback" not in ended.err
    assert "Exception ignored" not in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_in_the_middle_leaves_nothing(
    local: Site, tmp_path: Path, folder: Path, number: signal.Signals
) -> None:
    large = copy_site(local, tmp_path / "large")
    add_ballast(large.database, LARGE)
    before = large.names()
    inherited = signal.signal(number, signal.default_int_handler)  # the tests may run under nohup
    try:
        process = start(large, "backup", "-o", str(folder / "mine.db"))
    finally:
        signal.signal(number, inherited)
    until(lambda: is_begun(folder))
    process.send_signal(number)
    ended = end(process)
    assert (ended.out, ended.code) == ("", 130), ended.err
    assert "Interrupted. Nothing was left behind." in ended.err
    assert names(folder) == []
    assert large.names() - before <= {"tasks.db.download-receipts.jsonl"}


def test_closed_terminal_does_not_stop_what_nohup_started(local: Site, folder: Path) -> None:
    path, goes_on = folder / "mine.db", threading.Event()
    database = as_database(bytes(1024 * 1024))

    def stall(request: Request) -> None:
        request.reply(200, {"Content-Length": str(len(database))}, database[:-1])
        goes_on.wait(20)
        request.wfile.write(database[-1:])

    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child inherits this
    try:
        with standing_in(stall) as slow:
            variables = {"TASKDOG_API_KEY": "key", "TASKDOG_API_BASE_URL": slow.url}
            process = start(local, "backup", "-o", str(path), variables=variables)
            until(lambda: is_begun(folder))
            process.send_signal(signal.SIGHUP)
            goes_on.set()
            ended = end(process)
    finally:
        signal.signal(signal.SIGHUP, ignored)
    assert ended.code == 0, ended.err
    assert path.read_bytes() == database


def test_interrupted_in_mid_download_leaves_nothing(local: Site, folder: Path) -> None:
    interrupted = threading.Event()

    def stall(request: Request) -> None:
        request.reply(200, {"Content-Length": "9003008"}, as_database(bytes(9003008))[: 1024**2])
        interrupted.wait(20)

    with standing_in(stall) as slow:
        variables = {"TASKDOG_API_KEY": "key", "TASKDOG_API_BASE_URL": slow.url}
        process = start(local, "backup", "-o", str(folder / "mine.db"), variables=variables)
        until(lambda: is_begun(folder))
        process.send_signal(signal.SIGINT)
        ended = end(process)
        interrupted.set()
    assert (ended.out, ended.code) == ("", 130), ended.err
    assert names(folder) == []


# A remote server


def test_backup_of_a_server_by_its_url(local: Site, remote: Server, folder: Path) -> None:
    key = str(remote.http.headers["X-Api-Key"])
    ended = run(
        local, "backup", "--url", remote.url, cwd=folder, variables={"TASKDOG_API_KEY": key}
    )
    assert ended.code == 0, ended.err
    assert re.fullmatch(NAME + "\n", ended.out)
    assert remote.url in ended.err
    assert task_names(folder / ended.out.strip()) == ["remote"]
    assert len(names(folder)) == 1


def test_environment_names_the_server_and_local_overrides_it(
    local: Site, remote: Server, folder: Path
) -> None:
    variables = {
        "TASKDOG_API_BASE_URL": f"{remote.url}/",
        "TASKDOG_API_KEY": str(remote.http.headers["X-Api-Key"]),
    }
    for arguments, task in (((), "remote"), (("--local",), "local")):
        path = folder / f"{task}.db"
        ended = run(local, "backup", "-o", str(path), *arguments, variables=variables)
        assert ended.code == 0, ended.err
        assert task_names(path) == [task]


def test_backup_of_a_server_to_standard_output(local: Site, remote: Server, folder: Path) -> None:
    key = str(remote.http.headers["X-Api-Key"])
    arguments = ("backup", "--url", remote.url, "-o", "-")
    ended = run(local, *arguments, cwd=folder, variables={"TASKDOG_API_KEY": key})
    assert ended.code == 0, ended.err
    assert names(folder) == []
    path = folder / "piped.db"
    path.write_bytes(ended.stdout)
    assert task_names(path) == ["remote"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("wrong", "refused: Invalid API key"),
        ("", "There is no API key for"),
        ("schlüssel", "The API key has characters that a key can't have."),
    ],
)
def test_wrong_key_is_told_and_leaves_nothing(
    local: Site, remote: Server, folder: Path, key: str, words: str
) -> None:
    ended = run(
        local, "backup", "--url", remote.url, cwd=folder, variables={"TASKDOG_API_KEY": key}
    )
    assert (ended.out, ended.code) == ("", 1)
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert names(folder) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "did not answer: Connection refused. Check the URL"),
        ("https://no.such.host.invalid", "did not answer"),
        ("tasks.example.org", "is not the URL of a server"),
        ("http://[", "is not the URL of a server"),
    ],
)
def test_wrong_url_is_told_and_leaves_nothing(
    local: Site, folder: Path, url: str, words: str
) -> None:
    ended = run(local, "backup", "--url", url, cwd=folder, variables={"TASKDOG_API_KEY": "key"})
    assert (ended.out, ended.code) == ("", 1)
    assert words in ended.err
    assert url in ended.err
    assert "Traceback" not in ended.err
    assert names(folder) == []


def test_certificates_that_are_missing_are_told_in_a_sentence(local: Site, folder: Path) -> None:
    ended = run(
        local,
        *("backup", "--url", "https://127.0.0.1:1"),
        cwd=folder,
        variables={"TASKDOG_API_KEY": "key", "REQUESTS_CA_BUNDLE": "/no/such/file"},
    )
    assert ended.code == 1
    assert "/no/such/file" in ended.err
    assert "Traceback" not in ended.err


def test_url_and_local_together_make_no_sense(local: Site, folder: Path) -> None:
    ended = run(local, "backup", "--local", "--url", "http://127.0.0.1:1", cwd=folder)
    assert ended.code == 2
    assert "not allowed with" in ended.err
    assert names(folder) == []


# Whatever else is wrong


def test_backup_works_when_system_checks_fail(local: Site, folder: Path, tmp_path: Path) -> None:
    variables = failing_checks(tmp_path)
    assert run(local, "check", variables=variables).code == 1
    ended = run(local, "backup", "-o", str(folder / "mine.db"), variables=variables)
    assert ended.code == 0, ended.err
    assert task_names(folder / "mine.db") == ["local"]


def test_progress_of_a_backup_is_no_noise_in_a_log(local: Site, folder: Path) -> None:
    ended = run(local, "backup", "-o", str(folder / "mine.db"))
    assert "\x1b" not in ended.err
    assert len(ended.err.splitlines()) == 2


def test_watching_person_sees_how_far_it_is(local: Site, folder: Path) -> None:
    ours, theirs = pty.openpty()
    path = folder / "mine.db"
    with os.fdopen(theirs, "wb") as terminal:
        arguments = ("backup", "-o", str(path))
        process = start(local, *arguments, stderr=terminal, variables={"TERM": "xterm"})
    with os.fdopen(ours, "rb", buffering=0) as screen:
        seen = b""
        while b"on the disk" not in seen:
            seen += screen.read(4096)
        ended = end(process)
    assert (ended.out, ended.code) == (f"{path}\n", 0)
    assert b"Saving" in seen
    assert b"\x1b[31;1m" not in seen, "red is for errors"
    assert seen.rindex(b"Saving") < seen.rindex(b"\x1b[2K") < seen.rindex(b"A snapshot of")


# What the shell does around it


def test_backups_of_one_second_all_succeed(local: Site, folder: Path) -> None:
    """Also those of several processes at once, whatever second each of them begins in."""
    running = [start(local, "backup", "-o", str(folder)) for _ in range(3)]
    ended = [end(process) for process in running]
    assert [each.code for each in ended] == [0, 0, 0], ended
    assert sorted(f"{folder / name}\n" for name in names(folder)) == sorted(
        each.out for each in ended
    )
    for name in names(folder):
        assert re.fullmatch(r"taskdog-backup-\d{8}-\d{6}(-[23])?\.db", name)
        assert task_names(folder / name) == ["local"]


def in_shell(site: Site, folder: Path, line: str) -> Ended:
    """Run a line of shell in which $manage is the command."""
    ended = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env=environment(
            site.data, **site.variables, manage=f"{sys.executable} {CHECKOUT / 'manage.py'}"
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.stdout, ended.stderr.decode(), ended.returncode)


@pytest.mark.parametrize("lost", [">&-", ">/dev/full"])
def test_file_that_is_whole_is_a_success_whoever_hears_of_it(
    local: Site, folder: Path, lost: str
) -> None:
    ended = in_shell(local, folder, f"$manage backup -o mine.db {lost}")
    assert ended.code == 0, ended.err
    assert "mine.db" in ended.err.splitlines()[-1] + ended.err.splitlines()[-2]
    assert "Traceback" not in ended.err
    assert "Exception ignored" not in ended.err
    assert task_names(folder / "mine.db") == ["local"]


def test_snapshot_has_nowhere_to_go_when_standard_output_is_closed(
    local: Site, folder: Path
) -> None:
    ended = in_shell(local, folder, "$manage backup -o - >&-")
    assert ended.code == 1
    assert "Standard output is closed" in ended.err
    assert "Traceback" not in ended.err


def test_all_streams_closed_is_still_a_backup(local: Site, folder: Path) -> None:
    ended = in_shell(local, folder, "$manage backup -o mine.db <&- >&- 2>&-")
    assert ended.code == 0
    assert task_names(folder / "mine.db") == ["local"]


def test_quiet_backup_says_nothing(local: Site, folder: Path) -> None:
    ended = run(local, "backup", "-v", "0", "-o", str(folder / "mine.db"))
    assert (ended.out, ended.err, ended.code) == ("", "", 0)
    assert task_names(folder / "mine.db") == ["local"]


def test_quiet_backup_that_fails_says_why(local: Site, folder: Path) -> None:
    ended = run(local, "backup", "-v", "0", "-o", str(folder / "none" / "mine.db"))
    assert ended.code == 1
    assert "There is no folder" in ended.err


# Another database


def test_database_that_is_not_there_is_told_with_those_that_are(local: Site) -> None:
    ended = run(local, "backup", "--database", "nope")
    assert ended.code == 1
    assert "There is no database 'nope' in DATABASES. Choose one of: default." in ended.err
