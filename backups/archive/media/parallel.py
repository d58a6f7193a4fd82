"""Do the same with many things, some at a time, in the order in which they come."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], things: Iterable[T], *, at_once: int) -> Iterator[R]:
    """
    What ``work`` returns for each, in their order. Memory holds a few of them.

    :raises Exception: an error of ``work`` or of ``things``. Work that has not begun is dropped.
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            for thing in things:
                waiting.append(pool.submit(work, thing))
                if len(waiting) >= 2 * at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def in_batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size`` things: to hand over small things one by one costs more."""
    each = iter(things)
    while batch := list(islice(each, size)):
        yield batch
