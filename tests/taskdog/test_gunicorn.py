import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from backups.keys.api_keys import create_key
from tests.processes import (
    Server,
    environment,
    gunicorn_command,
    run_manage,
    running_server,
)
from tests.site import Site

pytestmark = pytest.mark.proof

CSS = "/static/rest_framework/css/bootstrap.min.css"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    assert run_manage("migrate", data_dir=folder).code == 0
    return folder


@pytest.fixture(scope="module")
def server(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(data_dir, tmp_path_factory.mktemp("log") / "log") as running:
        yield running


def test_health_is_served(server: Server) -> None:
    response = requests.get(f"{server.url}/health", timeout=10)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_the_browsable_apis_styles_are_served_without_any_preparation(server: Server) -> None:
    response = requests.get(server.url + CSS, timeout=10)
    assert (response.status_code, response.headers["Content-Type"]) == (
        200,
        'text/css; charset="utf-8"',
    )
    assert len(response.content) > 100_000


def test_a_key_made_while_the_server_runs_opens_it(server: Server, data_dir: Path) -> None:
    url = f"{server.url}/api/v1/tasks"
    key = create_key(data_dir / "api_keys.json", name="late", scopes=["tasks"])
    headers = {"X-Api-Key": key}
    made = requests.post(url, json={"name": "Write"}, headers=headers, timeout=10)
    assert made.status_code == 201
    listed = requests.get(url, headers=headers, timeout=10).json()["tasks"]
    assert [task["name"] for task in listed] == ["Write"]
    assert requests.get(url, timeout=10).status_code == 401
    # Told in the log as one line, without the key.
    log = server.log.read_text()
    assert len(re.findall(r'"POST /api/v1/tasks HTTP/1\.1" 201', log)) == 1
    assert key not in log


def test_the_log_of_the_server_is_one_object_a_line_when_asked(
    data_dir: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running_server(data_dir, log, TASKDOG_LOG_FORMAT="json") as running:
        requests.get(f"{running.url}/nowhere", timeout=10)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    loggers = {event["logger"] for event in events}
    assert {"gunicorn.error", "gunicorn.access", "django.request"} <= loggers


def test_with_tls_requests_are_sent_to_it_but_probes_are_answered(
    data_dir: Path, tmp_path: Path
) -> None:
    with running_server(data_dir, tmp_path / "log", TASKDOG_HTTPS="1") as running:
        health = requests.get(f"{running.url}/health", timeout=10)
        plain = requests.get(f"{running.url}/", allow_redirects=False, timeout=10)
        proxied = requests.get(
            f"{running.url}/", headers={"X-Forwarded-Proto": "https"}, timeout=10
        )
    assert health.status_code == 200
    assert (plain.status_code, plain.headers["Location"][:8]) == (301, "https://")
    assert proxied.status_code == 200
    assert proxied.headers["Strict-Transport-Security"] == (
        "max-age=31536000; includeSubDomains; preload"
    )


def test_no_client_says_where_the_site_is_or_that_it_came_by_tls(server: Server) -> None:
    headers = {
        "SCRIPT_NAME": "/api",
        "Script-Name": "/api",
        "PATH_INFO": "/api/v1/tasks",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Ssl": "on",
        "X-Forwarded-Prefix": "/api",
    }
    answer = requests.get(f"{server.url}/health", headers=headers, timeout=10)
    assert answer.json() == {"status": "ok"}
    page = requests.get(
        f"{server.url}/api/v1/docs", headers={**headers, "Accept": "text/html"}, timeout=10
    )
    assert "https://" not in page.text
    assert "/api/api" not in page.text


def test_only_the_proxy_s_word_counts_for_tls(data_dir: Path, tmp_path: Path) -> None:
    with running_server(
        data_dir, tmp_path / "log", TASKDOG_HTTPS="1", TASKDOG_PROXY="192.0.2.7, 10.1.0.0/16"
    ) as running:
        answer = requests.get(
            f"{running.url}/",
            headers={"X-Forwarded-Proto": "https"},
            allow_redirects=False,
            timeout=10,
        )
    assert answer.status_code == 301


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASKDOG_WORKERS", "1"),
        ("PORT", "http"),
        ("TASKDOG_WORKERS", "two"),
        ("TASKDOG_PROXY", "*"),
    ],
)
def test_a_setting_of_the_server_that_is_wrong_is_named(
    variable: str, value: str, tmp_path: Path
) -> None:
    ended = subprocess.run(
        gunicorn_command(),
        cwd=tmp_path,
        env=environment(tmp_path, **{variable: value}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert re.search(rf"{variable} (is|has) '{re.escape(value)}'", ended.stderr)


def test_a_malformed_key_file_stops_the_server(tmp_path: Path) -> None:
    keys = tmp_path / "api_keys.json"
    keys.write_text('{"keys": [{"name": "a"}]}')
    keys.chmod(0o600)
    ended = subprocess.run(
        gunicorn_command(),
        cwd=tmp_path,
        env=environment(tmp_path, TASKDOG_BIND=f"unix:{tmp_path}/socket"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert f"{keys} is not usable: entry 1 lacks created_at, scopes, sha256" in ended.stderr
    assert "socket" not in os.listdir(tmp_path)


def test_server_that_is_stopped_while_it_starts_ends_at_once(site: Site) -> None:
    """Not after graceful_timeout: a worker that was just forked must not miss the stop."""
    for _ in range(6):
        with site.serving() as server:
            server.wait_for_log("Booting worker with pid")
            server.stop()  # an error after as many seconds as graceful_timeout


def test_server_started_with_an_open_umask_keeps_all_its_files_to_its_user(site: Site) -> None:
    """Also those that SQLite makes, and those that an earlier release has left."""
    for path in site.data.glob("tasks.db*"):
        path.chmod(0o644)
    site.data.chmod(0o755)
    before = os.umask(0o022)
    try:
        with site.serving() as server:
            server.add_task("Write")
            snapshot = server.api("GET", "backup").content
            restored = server.api("POST", "restore?apply=now", files={"file": snapshot})
            assert restored.status_code == 200, restored.text
            files = filter(Path.is_file, site.data.iterdir())
            found = {path.name: path.stat().st_mode & 0o777 for path in files}
            workers = [Path(f"/proc/{pid}/status").read_text() for pid in server.worker_pids()]
    finally:
        os.umask(before)
    assert {"tasks.db-wal", "tasks.db-shm", "tasks.db.lock"} < set(found)
    assert set(found.values()) == {0o600}, found
    assert all("Umask:\t0077" in status for status in workers)
    assert "tasks.db was open to other users: its mode was 0644, now 0600" in "".join(server.log)
