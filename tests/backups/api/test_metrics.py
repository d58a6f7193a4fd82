"""What Prometheus scrapes, as its own parser reads it."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from pytest_django import Settings
from rest_framework.test import APIClient

from backups.archive.state import State, change_state
from backups.keys.api_keys import create_key
from tests.site import Site

URL = "/api/v1/metrics"
NIGHT = datetime(2026, 11, 26, 3, tzinfo=UTC)


@pytest.fixture
def client(live: Site, keys_file: Path) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=create_key(keys_file, name="monitor", scopes=["metrics"]))
    return client


def values(text: str) -> dict[str, float]:
    samples = [sample for family in parse(text) for sample in family.samples]
    assert {sample.labels["database"] for sample in samples} == {"default"}
    return {sample.name: sample.value for sample in samples}


def test_all_that_is_remembered_is_shown(client: APIClient, settings: Settings) -> None:
    settings.TIME_ZONE, settings.BACKUPS_SCHEDULE = "UTC", "0 3 * * *"
    state = State(
        last_run=NIGHT,
        last_success=NIGHT + timedelta(seconds=2),
        last_verified=NIGHT,
        verified_as_of=NIGHT,
        last_size=52_000,
        last_database_size=201_000,
        last_seconds=1.5,
        failures=2,
        failures_total=5,
        successes_total=7,
        missed_total=3,
        last_due=datetime.now(UTC),
        problems=("gone",),
    )
    change_state(lambda _: state)
    found = values(client.get(URL).content.decode())
    expected = {
        "backups_healthy": 0,
        "backups_last_run_timestamp_seconds": NIGHT.timestamp(),
        "backups_last_success_timestamp_seconds": NIGHT.timestamp() + 2,
        "backups_last_verified_timestamp_seconds": NIGHT.timestamp(),
        "backups_verified_content_timestamp_seconds": NIGHT.timestamp(),
        "backups_last_duration_seconds": 1.5,
        "backups_last_size_bytes": 52_000,
        "backups_last_database_size_bytes": 201_000,
        "backups_consecutive_failures": 2,
        "backups_problems": 1,
        "backups_failures_total": 5,
        "backups_successes_total": 7,
        "backups_missed_total": 3,
        "backups_pending_restore": 0,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["backups_next_due_timestamp_seconds"] > datetime.now(UTC).timestamp()
    assert found["backups_free_bytes"] > 0
    assert found["backups_verified_content_age_seconds"] > 0


def test_what_has_no_value_yet_is_left_out(client: APIClient) -> None:
    found = values(client.get(URL).content.decode())
    assert "backups_last_success_timestamp_seconds" not in found
    assert found["backups_failures_total"] == 0


def test_each_format_is_sent_with_its_type(client: APIClient) -> None:
    plain = client.get(URL, HTTP_ACCEPT="text/html")
    assert plain["Content-Type"].startswith("text/plain; version=0.0.4")
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    opened = client.get(URL, HTTP_ACCEPT=accept)
    assert opened["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(parse_openmetrics(opened.content.decode()))  # type: ignore[no-untyped-call]
    assert {"backups_failures", "backups_healthy"} <= {family.name for family in families}
    assert plain["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("scope", "status"), [("metrics", 200), ("backup", 200), ("restore", 403), ("tasks", 403)]
)
def test_a_key_needs_one_of_two_scopes(
    scope: str, status: int, live: Site, keys_file: Path, settings: Settings
) -> None:
    key = create_key(keys_file, name=scope, scopes=[scope])
    assert APIClient().get(URL, headers={"X-Api-Key": key}).status_code == status
    assert APIClient().get(URL).status_code == 401
    settings.BACKUPS_METRICS_OPEN = True
    assert APIClient().get(URL).status_code == 200


def test_a_key_for_the_metrics_alone_opens_nothing_else(client: APIClient) -> None:
    assert client.get("/api/v1/backup").status_code == 403
    assert client.get("/api/v1/restores").status_code == 403


def test_without_the_package_the_hint_says_how_to_get_it(
    client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    answer = client.get(URL)
    assert answer.status_code == 501
    assert "pip install 'django-restorable[metrics]'" in answer.json()["hint"]


@pytest.mark.proof
def test_two_workers_give_the_same_answer(site: Site) -> None:
    stored = site.manage("backup", "--store")
    assert stored.code == 0, stored.err
    with site.serving("--workers", "2") as server:
        answers = set()
        for _ in range(30):
            with requests.get(
                f"{server.url}{URL}", headers={"X-Api-Key": site.key, "Connection": "close"}
            ) as answer:
                assert answer.status_code == 200, answer.text
                lines = answer.text.splitlines()
            moving = ("_age_seconds", "free_bytes")  # what changes from one scrape to the next
            answers.add("\n".join(x for x in lines if not any(each in x for each in moving)))
        assert len(server.worker_pids()) == 2
    assert len(answers) == 1
    found = values(answers.pop())
    assert found["backups_successes_total"] == 1
