"""Counts what somebody tries in vain, and says how long to wait once it was too often."""

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import ceil

from django.core.cache.backends.base import BaseCache


class Attempts:
    """So many in a window of time, which begins with the first. Threads may share one."""

    def __init__(
        self,
        cache: BaseCache,
        *,
        most: int,
        seconds: float,
        lock: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> None:
        """
        :param cache: where the counts are; for processes to share them, one that they share.
        :param lock: keeps apart who counts; None for a lock between the threads of this object.
        """
        threads = threading.Lock()
        self._cache = cache
        self._most = most
        self._seconds = seconds
        self._lock = lock or (lambda: threads)

    def add(self, who: str) -> int:
        """
        Count one more, unless that is one too many.

        :returns: 0, or if it is one too many, the whole seconds until the window ends.
        """
        with self._lock():
            count, left = self._read(who)
            if count >= self._most:
                return ceil(left)
            self._write(who, count + 1, left)
            return 0

    def take_back(self, who: str) -> None:
        """Count one less: it was not in vain."""
        with self._lock():
            count, left = self._read(who)
            if count:
                self._write(who, count - 1, left)

    def forget(self, who: str) -> None:
        """Begin again."""
        with self._lock():
            self._cache.delete(_key(who))

    def _read(self, who: str) -> tuple[int, float]:
        """How many there were, and the seconds that their window still has."""
        count, end = self._cache.get(_key(who)) or (0, 0.0)
        left = min(end - time.time(), self._seconds)  # the clock may have been set back
        return (count, left) if count and left > 0 else (0, self._seconds)

    def _write(self, who: str, count: int, left: float) -> None:
        if count:
            self._cache.set(_key(who), (count, time.time() + left), left)
        else:
            self._cache.delete(_key(who))


def _key(who: str) -> str:
    """Any text as the key of a cache."""
    return hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()
