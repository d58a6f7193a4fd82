"""Processes of a site that are present, each on a web machine with a folder of its own."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests.postgres.stores import FakeSite, Store

MARKED = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'present: %'"


def on_another_machine(store: Store, folder: Path) -> Store:
    """The same site with another folder."""
    folder.mkdir()
    return replace(store, folder=folder, site=FakeSite())


@contextmanager
def present(store: Store, then: Callable[[], object] = lambda: None) -> Iterator[int]:
    """
    A process that is present until the block ends, or it is killed.

    :param then: what it does once it is present.
    :returns: its id.
    """
    is_there, tell = os.pipe()
    told, end = os.pipe()
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            os.close(end)
            store.real.hold_presence()
            then()
            os.write(tell, b".")
            os.read(told, 1)
        os._exit(0)
    os.close(tell)
    os.close(told)
    try:
        assert os.read(is_there, 1), "it is not present"
        yield pid
    finally:
        os.close(end)
        os.close(is_there)
        os.waitpid(pid, 0)


def names(store: Store) -> list[str]:
    """Who is present, found without the code's own query."""
    return [name.removeprefix("present: ") for (name,) in store.server.admin(MARKED)]
