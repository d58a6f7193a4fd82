"""Writers of every machine take turns, so what a service has checked holds when it writes."""

import itertools
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
import requests

from taskdog.transactions import TURN
from tests.postgres.server import Server
from tests.postgres.sites import database_name
from tests.site import Site

pytestmark = pytest.mark.postgres

CLIENTS = 8
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def test_a_change_waits_for_its_turn_and_a_list_does_not(
    postgres: Server, two_machines: tuple[Site, Site]
) -> None:
    first, second = two_machines
    name = database_name(first)
    with second.serving() as server, ThreadPoolExecutor() as pool:
        with psycopg.connect(postgres.conninfo(name)) as other:  # as the first machine would
            other.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])
            adding = pool.submit(server.add_task, "after the other")
            end = time.monotonic() + 30
            while postgres.admin(WAITING, name) != [(1,)]:
                assert not adding.done(), "it did not wait"
                assert time.monotonic() < end
            http = requests.get(
                f"{server.url}/api/v1/tasks", headers={"X-Api-Key": second.key}, timeout=30
            )
            assert http.json()["tasks"] == []
            other.rollback()
        adding.result(timeout=30)
        assert server.task_names() == ["after the other"]


def test_of_a_ring_of_dependencies_added_on_two_machines_one_is_refused(
    two_machines: tuple[Site, Site],
) -> None:
    first, second = two_machines
    with first.serving() as one, second.serving() as other:
        for number in range(CLIENTS):
            one.add_task(f"task {number}")
        for _ in range(5):
            barrier = Barrier(CLIENTS)

            def add(task_id: int) -> int:
                server = (one, other)[task_id % 2]
                with requests.Session() as http:
                    http.headers["X-Api-Key"] = first.key
                    barrier.wait(timeout=30)  # noqa: B023
                    return http.post(
                        f"{server.url}/api/v1/tasks/{task_id}/dependencies",
                        json={"depends_on_id": task_id % CLIENTS + 1},
                        timeout=60,
                    ).status_code

            with ThreadPoolExecutor(CLIENTS) as pool:
                statuses = list(pool.map(add, range(1, CLIENTS + 1)))
            assert Counter(statuses) == {200: CLIENTS - 1, 400: 1}
            for task_id in itertools.compress(range(1, CLIENTS + 1), [s == 200 for s in statuses]):
                path = f"tasks/{task_id}/dependencies/{task_id % CLIENTS + 1}"
                assert one.api("DELETE", path).status_code == 200
