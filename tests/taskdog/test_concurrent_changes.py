"""Several clients of a real server at the same task: one wins, and the others are told."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests

from tests.site import Server, Site

pytestmark = pytest.mark.proof

CLIENTS = 8


def at_once(call: Callable[[requests.Session], requests.Response], key: str) -> list[int]:
    """Let every client call in the same moment; the statuses that they got."""
    barrier = Barrier(CLIENTS)

    def run(_: int) -> int:
        with requests.Session() as http:
            http.headers["X-Api-Key"] = key
            barrier.wait(timeout=30)
            return call(http).status_code

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


def log(site: Site, operation: str) -> list[tuple[int, int]]:
    """The audit rows of an operation: task and success."""
    query = "SELECT resource_id, success FROM audit_logs WHERE operation = '{}' ORDER BY id"
    return site.ask(query.format(operation))


@pytest.mark.parametrize("path", ["tasks/{id}/start", "tasks/bulk/start"])
def test_one_starts_the_task_and_the_others_are_told(path: str, site: Site, server: Server) -> None:
    for task_id in range(1, 4):
        server.add_task(f"task {task_id}")
        url = f"{server.url}/api/v1/{path.format(id=task_id)}"
        body = {"task_ids": [task_id]}
        statuses = Counter(at_once(lambda http: http.post(url, json=body, timeout=60), site.key))  # noqa: B023
        assert statuses == ({200: CLIENTS} if "bulk" in path else {200: 1, 400: CLIENTS - 1})
    rows = log(site, "start_task")
    assert len(rows) == 3 * CLIENTS
    assert Counter(task_id for task_id, success in rows if success) == {1: 1, 2: 1, 3: 1}


def test_two_dependencies_that_would_close_a_cycle_are_not_both_added(
    site: Site, server: Server
) -> None:
    for number in range(CLIENTS):
        server.add_task(f"task {number}")
    ring = iter(range(1, CLIENTS + 1))

    def add(http: requests.Session) -> requests.Response:
        task_id = next(ring)
        url = f"{server.url}/api/v1/tasks/{task_id}/dependencies"
        return http.post(url, json={"depends_on_id": task_id % CLIENTS + 1}, timeout=60)

    assert Counter(at_once(add, site.key)) == {200: CLIENTS - 1, 400: 1}
    assert Counter(success for _, success in log(site, "add_dependency")) == {1: CLIENTS - 1, 0: 1}


def test_each_of_many_changes_is_kept_and_recorded(site: Site, server: Server) -> None:
    server.add_task("Write")
    fields = iter(
        [
            {"priority": 1},
            {"name": "Rewrite"},
            {"deadline": "2030-01-01T00:00:00"},
            {"estimated_duration": 2.5},
            {"is_fixed": True},
            {"tags": ["a"]},
            {"planned_start": "2030-01-01T00:00:00"},
            {"planned_end": "2030-01-02T00:00:00"},
        ]
    )
    url = f"{server.url}/api/v1/tasks/1"
    statuses = at_once(lambda http: http.patch(url, json=next(fields), timeout=60), site.key)
    assert statuses == [200] * CLIENTS
    task = server.api("GET", "tasks/1").json()
    assert (task["name"], task["priority"], task["is_fixed"]) == ("Rewrite", 1, True)
    assert (task["tags"], task["deadline"]) == (["a"], "2030-01-01T00:00:00")
    assert task["daily_allocations"] == {"2030-01-01": 1.25, "2030-01-02": 1.25}
    assert log(site, "update_task") == [(1, 1)] * CLIENTS
