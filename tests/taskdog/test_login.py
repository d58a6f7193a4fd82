"""Guessing passwords at the login page, in one process and over several."""

import errno
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from backups.disk import files
from taskdog import login
from taskdog.login import MOST_OF_A_NAME, WINDOW
from tests.site import Server, Site

PAGE = "/api-auth/login/"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def counts(settings: Settings, tmp_path: Path, db: None) -> Path:
    """The folder of the counts, of this test alone; and a member of the staff."""
    folder = tmp_path / "failed_logins"
    settings.TASKDOG_FAILED_LOGINS = folder
    login.own_cache.clear()
    User.objects.create_user("ann", password="right", is_staff=True)
    return folder


def post(name: str = "ann", password: str = "wrong", address: str = HERE) -> HttpResponse:
    sent = {"username": name, "password": password}
    answer: Any = Client(REMOTE_ADDR=address).post(PAGE, sent)
    return answer  # type: ignore[no-any-return]


def fail(times: int, name: str = "ann", address: str = HERE) -> None:
    for _ in range(times):
        assert post(name, address=address).status_code == 200


@pytest.mark.usefixtures("counts")
def test_who_guesses_the_password_of_one_name_has_to_wait_even_with_the_right_one() -> None:
    fail(MOST_OF_A_NAME)
    refused = post(password="right")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= WINDOW
    assert b"Too many failed logins. Try again in 5 minutes." in refused.content
    assert b"<form" in refused.content


@pytest.mark.usefixtures("counts")
def test_nobody_is_locked_out_by_a_stranger() -> None:
    fail(MOST_OF_A_NAME)
    assert post().status_code == 429
    assert post(password="right", address=ELSEWHERE).status_code == 302


@pytest.mark.usefixtures("counts")
def test_others_at_the_same_address_still_get_in() -> None:
    User.objects.create_user("bob", password="right", is_staff=True)
    fail(MOST_OF_A_NAME)
    assert post().status_code == 429
    assert post("bob", "right").status_code == 302


def test_one_machine_cannot_try_many_names_and_no_hash_is_computed_for_it(
    counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "MOST_OF_AN_ADDRESS", 12)
    for number in range(12):
        fail(1, f"name {number}")
    monkeypatch.setattr(User, "check_password", lambda *_: pytest.fail("hashed"))
    before = len(list(counts.iterdir()))
    assert {post(f"other {number}").status_code for number in range(20)} == {429}
    assert len(list(counts.iterdir())) == before
    monkeypatch.undo()
    assert post(password="right", address=ELSEWHERE).status_code == 302


@pytest.mark.usefixtures("counts")
@pytest.mark.parametrize("name", [" ann ", "ａｎｎ", "ann\t"])
def test_name_in_another_spelling_is_the_same_name(name: str) -> None:
    """Django strips and normalises it before it looks for the user."""
    fail(MOST_OF_A_NAME)
    assert post(name).status_code == 429


@pytest.mark.usefixtures("counts")
def test_addresses_that_one_machine_can_have_are_one() -> None:
    for number in range(MOST_OF_A_NAME):
        fail(1, address=f"2001:db8::{number}")
    assert post(address="2001:db8::ffff").status_code == 429
    assert post(password="right", address="2001:db8:1::1").status_code == 302


@pytest.mark.usefixtures("counts")
def test_header_of_a_client_makes_no_other_address_of_it(settings: Settings) -> None:
    def forwarded(address: str, password: str = "wrong") -> int:
        headers = {"X-Forwarded-For": address}
        sent = {"username": "ann", "password": password}
        return Client(REMOTE_ADDR=HERE, headers=headers).post(PAGE, sent).status_code

    assert [forwarded(f"198.51.100.{n}") for n in range(MOST_OF_A_NAME)] == [200] * MOST_OF_A_NAME
    assert forwarded("198.51.100.99") == 429
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
    assert forwarded("made up, 198.51.100.99", "right") == 302


@pytest.mark.usefixtures("counts")
def test_right_password_begins_the_count_again() -> None:
    for _ in range(3):
        fail(MOST_OF_A_NAME - 1)
        assert post(password="right").status_code == 302
    fail(MOST_OF_A_NAME)
    assert post().status_code == 429


@pytest.mark.usefixtures("counts")
def test_empty_form_is_no_try() -> None:
    for _ in range(MOST_OF_A_NAME + 1):
        assert post(password="").status_code == 200
    assert post(password="right").status_code == 302


@pytest.mark.usefixtures("counts")
def test_each_failure_is_a_line_with_name_and_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "taskdog")
    post("ann\x1b[31m\nforged", password="secret")
    post(password="right")
    lines = [each.getMessage() for each in caplog.records if each.name == "taskdog.login"]
    assert lines == [
        r"A login as 'ann\x1b[31m\nforged' from 192.0.2.1 failed.",
        "A login as 'ann' from 192.0.2.1 succeeded.",
    ]


@pytest.mark.usefixtures("counts")
@pytest.mark.parametrize("header", [{}, {"X-Forwarded-For": "198.51.100.1"}])
def test_refusals_are_one_line_that_names_the_setting_if_it_may_be_a_proxy(
    header: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    fail(MOST_OF_A_NAME)
    caplog.clear()
    for _ in range(5):
        sent = {"username": "ann", "password": "wrong"}
        assert Client(REMOTE_ADDR=HERE, headers=header).post(PAGE, sent).status_code == 429
    (line,) = [each.getMessage() for each in caplog.records if each.name == "taskdog.login"]
    assert "Too many logins from 192.0.2.1 failed, the last as 'ann'" in line
    assert ("TASKDOG_NUM_PROXIES=1" in line) == bool(header)


def test_counts_are_beside_the_database_for_the_owner_alone(counts: Path) -> None:
    fail(1)
    assert counts.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in counts.iterdir()} == {0o600}
    assert b"ann" not in b"".join(path.read_bytes() for path in counts.iterdir())


@pytest.mark.usefixtures("counts")
def test_where_nothing_can_be_written_logins_go_on_and_each_process_counts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "exclusive_folder", refuse)
    assert post(password="right").status_code == 302
    fail(MOST_OF_A_NAME)
    assert post(password="right").status_code == 429
    assert "can't be counted in files" in caplog.text


def test_count_that_a_power_cut_has_left_locks_nobody_out(counts: Path) -> None:
    fail(2)
    for path in counts.iterdir():
        path.write_bytes(b"\0" * path.stat().st_size)
    assert post(password="right").status_code == 302


@pytest.mark.proof
def test_workers_count_together_and_the_tries_of_one_moment_too(site: Site) -> None:
    made = site.manage(
        "shell", "-c", "from django.contrib.auth.models import User;"
        " User.objects.create_user('ann', password='right', is_staff=True)"
    )  # fmt: skip
    assert made.code == 0, made.err
    with site.serving(TASKDOG_WORKERS="4") as server:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: try_at(server, "wrong"), range(MOST_OF_A_NAME + 3)))
        assert sorted(answers) == [200] * MOST_OF_A_NAME + [429] * 3
        assert try_at(server, "right") == 429
        failed = re.findall(r"A login as 'ann' from 127\.0\.0\.1 failed", "".join(server.log))
        assert len(failed) == MOST_OF_A_NAME
        assert server.api("GET", "tasks").status_code == 200
    # Not in the database, which a restore would replace.
    assert len(list((site.data / "failed_logins").iterdir())) == 2


def try_at(server: Server, password: str) -> int:
    """Log in as a browser does."""
    with requests.Session() as browser:
        browser.get(server.url + PAGE, timeout=60)
        token = browser.cookies["csrftoken"]
        sent = {"username": "ann", "password": password, "csrfmiddlewaretoken": token}
        return browser.post(server.url + PAGE, sent, allow_redirects=False, timeout=60).status_code
