import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache

from backups.keys.attempts import Attempts

NAMES = count()


@pytest.fixture(params=["memory", "files"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> BaseCache:
    if request.param == "files":
        return FileBasedCache(str(tmp_path), {})
    return LocMemCache(f"attempts {next(NAMES)}", {})


def test_so_many_are_free_and_then_the_end_of_the_window_is_told(cache: BaseCache) -> None:
    attempts = Attempts(cache, most=3, seconds=60)
    assert [attempts.add("ann") for _ in range(3)] == [0, 0, 0]
    assert 0 < attempts.add("ann") <= 60
    assert attempts.add("bob") == 0


@pytest.mark.parametrize("who", ["", "two words", "\n", "\ud800", "x" * 10_000])
def test_anybody_can_be_counted(who: str, cache: BaseCache) -> None:
    attempts = Attempts(cache, most=1, seconds=60)
    assert attempts.add(who) == 0
    assert attempts.add(who) > 0


def test_refused_try_does_not_make_the_window_longer(
    cache: BaseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts(cache, most=1, seconds=60)
    now = time.time()
    attempts.add("ann")
    monkeypatch.setattr(time, "time", lambda: now + 59)
    assert attempts.add("ann") <= 2
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert attempts.add("ann") == 0


def test_clock_that_was_set_back_makes_nobody_wait_longer(
    cache: BaseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts(cache, most=1, seconds=60)
    attempts.add("ann")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 1_000_000)
    assert attempts.add("ann") <= 60


def test_what_is_taken_back_or_forgotten_was_never_there(cache: BaseCache) -> None:
    attempts = Attempts(cache, most=2, seconds=60)
    attempts.add("ann")
    attempts.add("ann")
    attempts.take_back("ann")
    assert [attempts.add("ann") > 0 for _ in range(2)] == [False, True]
    attempts.forget("ann")
    attempts.take_back("ann")
    assert [attempts.add("ann") > 0 for _ in range(3)] == [False, False, True]


def test_threads_that_count_at_once_lose_none() -> None:
    attempts = Attempts(LocMemCache(f"attempts {next(NAMES)}", {}), most=50, seconds=60)
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(attempts.add, ["ann"] * 80))
    assert waits.count(0) == 50
