"""
Whether this process serves the site: then it takes part in the schedule of backups.

``AppConfig.ready`` runs in every process. It runs inside ``get_wsgi_application`` or
``get_asgi_application`` where a server loads the site, and in ``runserver``. A server may load the
site in one process and serve it in its forks, which no thread survives: gunicorn with
``preload_app``, uWSGI without ``lazy-apps``. There the forks take part. A site that is loaded in
another way takes part from its first request on.
"""

import inspect
import logging
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from types import CodeType
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application

from backups.conf import conf
from backups.schedule import leader
from backups.startup import command_line
from backups.startup.command_line import CommandLine
from backups.startup.start import is_autoreload_parent

ENTRANCES = (get_wsgi_application.__code__, get_asgi_application.__code__)
SERVING_COMMAND = "runserver"  # and those that extend it, such as runserver_plus

logger = logging.getLogger(__name__)


class _Part:
    """This process's part in the schedule. A fork has one of its own."""

    def __init__(self) -> None:
        self.pid = 0  # of the process that takes part

    def take(self, **_: object) -> None:
        """Take part, once. Also a receiver of ``request_started``."""
        request_started.disconnect(dispatch_uid=UID)
        if self.pid != os.getpid() and not is_in_a_test():
            self.pid = os.getpid()
            leader.start()

    def take_in_forks(self) -> None:
        """After each fork of this process, but not in the forks of those."""
        master = os.getpid()

        def after_fork() -> None:
            if os.getppid() == master:
                self.take()

        os.register_at_fork(after_in_child=after_fork)


UID = "backups schedule"
part = _Part()


def watch() -> None:
    """
    Take part in the schedule once this process serves. Without a schedule this does nothing.
    Call it from this app's ``ready``. Never raises: the site starts.
    """
    try:
        if conf.schedule and not conf.is_child and not is_in_a_test():
            _watch(command_line.current())
    except Exception:
        logger.exception("no scheduled backup is started from this process")


def _watch(command: CommandLine) -> None:
    if (uwsgi := _uwsgi()) is not None:
        _watch_uwsgi(uwsgi)
    elif command_line.is_known(command.name):
        if command.name.startswith(SERVING_COMMAND) and not is_autoreload_parent(command):
            part.take()
    elif _is_master():
        part.take_in_forks()
    elif not any(code in ENTRANCES for code in _callers()):
        _take_part_when_asked()
    else:
        part.take()


def _take_part_when_asked() -> None:
    request_started.connect(part.take, weak=False, dispatch_uid=UID)


def is_in_a_test() -> bool:
    """Whether Django's test environment is set up, or pytest runs in this process."""
    testing = sys.modules.get("django.test.utils")
    is_pytest = "pytest" in sys.modules and "PYTEST_VERSION" in os.environ
    return is_pytest or hasattr(getattr(testing, "_TestState", None), "saved_data")


def _is_master() -> bool:
    """Whether gunicorn's master is loading the site, before it forks its workers."""
    arbiter = getattr(sys.modules.get("gunicorn.arbiter"), "Arbiter", None)
    if arbiter is None:
        return False
    callers = set(_callers())
    is_worker = arbiter.spawn_worker.__code__ in callers
    return not is_worker and not callers.isdisjoint(_codes(arbiter))


def _codes(kind: type) -> Iterator[CodeType]:
    return (each.__code__ for each in vars(kind).values() if inspect.isfunction(each))


def _callers() -> Iterator[CodeType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame.f_code
        frame = frame.f_back


def _uwsgi() -> Any:
    """The module that exists only inside uWSGI."""
    try:
        return import_module("uwsgi")
    except ImportError:
        return None


def _watch_uwsgi(uwsgi: Any) -> None:
    """
    It forks without telling Python, and calls a hook afterwards, also in what serves nothing.

    Source: https://uwsgi-docs.readthedocs.io/en/latest/PythonModule.html
    """
    if not has_threads(uwsgi.opt):
        logger.warning(
            "no scheduled backup is taken: uWSGI runs no threads of Python. Start it with"
            " --enable-threads, or run manage.py backups run-due from a timer"
        )
        return
    if uwsgi.worker_id():  # lazy-apps, or no master
        part.take()
        return
    earlier = getattr(uwsgi, "post_fork_hook", None)

    def after_fork() -> None:
        if earlier is not None:
            earlier()
        if uwsgi.worker_id():
            part.take()

    uwsgi.post_fork_hook = after_fork
    _take_part_when_asked()  # the site's own code may take the hook


def has_threads(options: Any) -> bool:
    """Whether uWSGI with these options runs threads that Python starts."""
    return any(name in options for name in ("enable-threads", "threads"))
