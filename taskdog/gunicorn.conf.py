# ruff: noqa: N999 - gunicorn looks for a file of this name
"""
How gunicorn serves the site: ``gunicorn --config taskdog/gunicorn.conf.py``.

It speaks HTTP on this machine only. To be reached from elsewhere it needs a proxy in front that
ends TLS and sets ``X-Forwarded-Proto``, and TASKDOG_HTTPS=1. Gunicorn believes that header only
from the addresses in TASKDOG_PROXY, by default this machine.
"""

import os
import signal
import sys
from pathlib import Path

CHECKOUT = str(Path(__file__).resolve().parent.parent)
sys.path.insert(0, CHECKOUT)  # gunicorn reads this file before it changes the folder

from taskdog import environment, logs  # noqa: E402

chdir = CHECKOUT
wsgi_app = "taskdog.wsgi:application"
bind = environment.text(
    "TASKDOG_BIND", f"127.0.0.1:{environment.whole_number('PORT', default=8000, minimum=1)}"
)

# Whose word counts that a request came by TLS, and by which header. Nobody's word counts for where
# the site is (SCRIPT_NAME, PATH_INFO): its URLs begin at the top.
forwarded_allow_ips = environment.networks(
    "TASKDOG_PROXY", default=environment.text("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
)
secure_scheme_headers = (
    {"X-FORWARDED-PROTO": "https"} if environment.flag("TASKDOG_HTTPS", default=False) else {}
)
forwarder_headers = ""

# Two processes at least, so that one busy with a large upload's checks leaves another to answer.
workers = environment.whole_number("TASKDOG_WORKERS", default=2, minimum=2)
worker_class = "taskdog.worker.Worker"
# Per process, for backups and restores; the worker has others for the rest. A large download or
# upload occupies one for as long as it lasts, and all that are let in may meet in one process.
threads = 24
worker_connections = 500  # per process; of more, the one that has done nothing longest is closed
sendfile = False  # the system would wait for a slow client without an end

# The application is loaded once, by the master, before the workers are forked. A restore that
# waits for this start is applied while it loads: no worker timeout can kill the master halfway,
# and every worker begins with the restored database.
preload_app = True

# Seconds without a sign of life from a worker's main loop. In threaded workers that loop beats
# while the threads serve, so a transfer of ten minutes is not cut off by it.
timeout = 30
graceful_timeout = 30  # seconds that a stop leaves to the requests under way
limit_request_line = 8190  # bytes, gunicorn's most: by-ids names each task in the URL
keepalive = 5  # seconds that an idle connection is kept for its client's next request


# A worker that has just been forked still has its master's signal handlers, which would swallow a
# stop: the server would then wait for that worker until graceful_timeout. So a stop is held back
# from before the fork until the worker has its own handlers.
STOPS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def pre_fork(server: object, worker: object) -> None:
    """In the master, before each fork."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def let_stops_through() -> None:
    """What was held back comes now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def post_worker_init(worker: object) -> None:
    """In the worker, once it can serve and be stopped."""
    let_stops_through()


os.register_at_fork(after_in_parent=let_stops_through)

control_socket_disable = True  # it would put a file outside the data folder

logconfig_dict = logs.logging_config(
    log_format=environment.choice("TASKDOG_LOG_FORMAT", logs.FORMATS, default="text"),
    level=environment.choice("TASKDOG_LOG_LEVEL", logs.LEVELS, default="INFO"),
)
loglevel = logconfig_dict["root"]["level"].lower()
access_log_format = '%(h)s "%(r)s" %(s)s %(b)s bytes %(M)s ms "%(a)s"'
