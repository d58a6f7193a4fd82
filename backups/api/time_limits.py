"""
How long the server that runs us lets one request take, where that can be known.

A download or an upload takes as long as the line needs. Gunicorn's default worker is killed after
30 seconds of one request (threaded and asynchronous ones give a sign of life while they work), and
uWSGI's harakiri ends every request. Neither tells its application before it happens. So the log
says so once in each process, when it is first asked for something that may take long.
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
    """Who ends a request, when, and what to do about it."""

    who: str
    seconds: int  # 0: never
    remedy: str


@cache
def warn_of_time_limit() -> None:
    """Log what will cut a long request off, the first time in this process. Never raises."""
    for find in (_gunicorn, _uwsgi):
        with suppress(AttributeError, TypeError, ValueError):  # it keeps it elsewhere now
            if (limit := find()) is not None and 0 < limit.seconds < LONG_ENOUGH_SECONDS:
                logger.warning(
                    "%s ends every request after %d seconds: a backup or a restore that takes"
                    " longer is cut off. %s",
                    *limit,
                )


def _gunicorn() -> Limit | None:
    """Its worker is what handles SIGABRT, by which its master kills it."""
    worker: Any = getattr(signal.getsignal(signal.SIGABRT), "__self__", None)
    if "gunicorn.workers.sync" not in {kind.__module__ for kind in type(worker).__mro__}:
        return None
    remedy = "Start gunicorn with --threads 4 (worker class gthread), or with a longer --timeout."
    return Limit("gunicorn's sync worker", int(worker.cfg.timeout), remedy)


def _uwsgi() -> Limit | None:
    """Its options, in a module that only its own processes have."""
    try:
        options = import_module("uwsgi").opt
    except ImportError:
        return None
    remedy = "Raise it, for these URLs at least, e.g. by: route = ^/api/v1/ harakiri:3600"
    return Limit("uWSGI's harakiri", int(options.get("harakiri", 0)), remedy)
