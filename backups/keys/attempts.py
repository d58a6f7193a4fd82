"""Counts failed attempts, and says how long to wait after too many."""

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import ceil

from django.core.cache.backends.base import BaseCache


class Attempts:
    """Allows some attempts in a window of time, which begins with the first. Thread-safe."""

    def __init__(
        self,
        cache: BaseCache,
        *,
        most: int,
        seconds: float,
        lock: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> None:
        """
        :param cache: where the counts are; processes that share it share the counts.
        :param lock: held while counting; None for a lock between the threads of this process.
        """
        threads = threading.Lock()
        self._cache = cache
        self._most = most
        self._seconds = seconds
        self._lock = lock or (lambda: threads)

    def add(self, who: str) -> int:
        """
        Count an attempt, unless there were too many already.

        :returns: 0 if it was counted, else the whole seconds until the window ends.
        """
        with self._lock():
            count, left = self._read(who)
            if count >= self._most:
                return ceil(left)
            self._write(who, count + 1, left)
            return 0

    def take_back(self, who: str) -> None:
        """Count one less: the attempt did not fail."""
        with self._lock():
            count, left = self._read(who)
            if count:
                self._write(who, count - 1, left)

    def forget(self, who: str) -> None:
        """Start again from zero."""
        with self._lock():
            self._cache.delete(_key(who))

    def _read(self, who: str) -> tuple[int, float]:
        """The count, and how many seconds are left of its window."""
        count, end = self._cache.get(_key(who)) or (0, 0.0)
        left = min(end - time.time(), self._seconds)  # the clock may have been set back
        return (count, left) if count and left > 0 else (0, self._seconds)

    def _write(self, who: str, count: int, left: float) -> None:
        if count:
            self._cache.set(_key(who), (count, time.time() + left), left)
        else:
            self._cache.delete(_key(who))


def _key(who: str) -> str:
    """Turn any text into a valid key for the cache."""
    return hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()
