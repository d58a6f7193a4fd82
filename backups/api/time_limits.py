"""
Warn of a server that ends long requests.

A download or an upload takes as long as the line needs. Gunicorn kills its default worker after 30
seconds of one request (threaded and asynchronous workers report while they work), and uWSGI's
harakiri ends every request. Neither tells the application before. So each process logs a warning
at its first request that may take long.
"""

import logging
import signal
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

LONG_ENOUGH_SECONDS = 600  # a limit that long was set on purpose

logger = logging.getLogger(__name__)


class Limit(NamedTuple):
    """What ends a request, after how long, and what to do about it."""

    who: str
    seconds: int  # 0: never
    remedy: str


@cache
def warn_of_time_limit() -> None:
    """Log what will end a long request, the first time in this process. Never raises."""
    for find in (_gunicorn, _uwsgi):
        with suppress(AttributeError, TypeError, ValueError):  # a newer version stores it elsewhere
            if (limit := find()) is not None and 0 < limit.seconds < LONG_ENOUGH_SECONDS:
                logger.warning(
                    "%s ends every request after %d seconds: a backup or a restore that takes"
                    " longer is cut off. %s",
                    *limit,
                )


def _gunicorn() -> Limit | None:
    """Its worker handles SIGABRT, with which the master kills it."""
    worker: Any = getattr(signal.getsignal(signal.SIGABRT), "__self__", None)
    if "gunicorn.workers.sync" not in {kind.__module__ for kind in type(worker).__mro__}:
        return None
    remedy = "Start gunicorn with --threads 4 (worker class gthread), or with a longer --timeout."
    return Limit("gunicorn's sync worker", int(worker.cfg.timeout), remedy)


def _uwsgi() -> Limit | None:
    try:
        options = import_module("uwsgi").opt
    except ImportError:
        return None
    remedy = "Raise it, for these URLs at least, e.g. by: route = ^/api/v1/ harakiri:3600"
    return Limit("uWSGI's harakiri", int(options.get("harakiri", 0)), remedy)
