"""Queries of the site that would never end, and those that are none of the limit's business."""

import threading
import time

import pytest
from django.db import OperationalError, connection

from backups.site.query_limit import query_limit

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
LONG = f"{ENDLESS[:-1]}(SELECT n FROM c LIMIT 1000000)"


def ask(query: str) -> int:
    with connection.cursor() as cursor:
        return int(cursor.execute(query).fetchone()[0])


@pytest.fixture(autouse=True)
def _opened(db: None) -> None:
    connection.ensure_connection()


def test_query_that_never_ends_is_ended() -> None:
    with query_limit(0.1) as is_over, pytest.raises(OperationalError, match="interrupted"):
        ask(ENDLESS)
    assert is_over()


def test_connection_that_is_opened_within_is_limited_too() -> None:
    other = connection.copy()
    try:
        with (
            query_limit(0.1),
            other.cursor() as cursor,
            pytest.raises(OperationalError, match="interrupted"),
        ):
            cursor.execute(ENDLESS).fetchall()
    finally:
        other.close()


def test_queries_afterwards_have_all_the_time() -> None:
    with query_limit(0.0):
        pass
    time.sleep(0.01)
    assert ask(LONG) == 1_000_000


def test_limit_around_another_goes_on_after_it() -> None:
    with query_limit(0.1):
        with query_limit(60.0), pytest.raises(OperationalError, match="interrupted"):
            ask(ENDLESS)
        with pytest.raises(OperationalError, match="interrupted"):
            ask(ENDLESS)


def test_connections_of_other_threads_are_not_limited() -> None:
    answers: list[int] = []

    def work() -> None:
        other = connection.copy()
        with other.cursor() as cursor:
            answers.append(cursor.execute(LONG).fetchone()[0])
        other.close()

    with query_limit(-1.0):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert answers == [1_000_000]
