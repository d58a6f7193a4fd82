"""The site's own settings, with one more page: a plain file, which is the limit of the road."""

from taskdog.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.urls"
