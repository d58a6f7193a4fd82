"""The site's own settings, with the storage and the keys that a test has chosen for its backups."""

import json
import os

from django.conf.global_settings import STORAGES

from taskdog.settings import *  # noqa: F403

STORAGES = {**STORAGES, "backups": json.loads(os.environ["TESTS_STORAGE"])}
