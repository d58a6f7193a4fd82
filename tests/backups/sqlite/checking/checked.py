"""The check of a file that only a test has."""

import os
from pathlib import Path

from backups.sqlite.checking.check import check_snapshot
from backups.sqlite.checking.contents import Contents
from backups.sqlite.site import Live
from tests.backups.stand_ins import FakeSite


def check(
    path: Path,
    *,
    seconds: float = 60.0,
    historic: tuple[str, ...] = (),
    clear: tuple[str, ...] = (),
    account: str | None = None,
) -> Contents:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_snapshot(
            descriptor,
            path,
            seconds=seconds,
            site=FakeSite(),
            live=Live(frozenset(historic)),
            clear=clear,
            account=account,
        )
    finally:
        os.close(descriptor)
