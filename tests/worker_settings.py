"""The site's own settings, with one more page: what the worker that answers it knows."""

from taskdog.settings import *  # noqa: F403

ROOT_URLCONF = "tests.worker_urls"
