"""
The site's own settings, with a data folder that only tests use.

It holds a secret key and logins, and nothing that a test relies on: a test that wants a store
makes one of its own. So it may stay, and two test runs may share it.
"""

import os
from pathlib import Path

for name in [name for name in os.environ if name.startswith("TASKDOG_")]:
    if name != "TASKDOG_SQLITE":  # which `make sqlite-test` chooses
        del os.environ[name]  # what the developer's shell says must not steer a test
if url := os.environ.get("TESTS_DATABASE_URL"):  # of `make postgres-test`
    os.environ["TASKDOG_DATABASE_URL"] = url
# One for each test process: a restore in one of them ends the logins of a folder.
folder = Path(__file__).parent / ".data" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
folder.mkdir(parents=True, exist_ok=True)
os.environ["TASKDOG_DATA_DIR"] = str(folder)

from taskdog.settings import *  # noqa: E402, F403

del STORAGES["backups"]  # noqa: F405  # beside the database that a test makes
BACKUPS_SCHEDULE = ""

PASSWORD_HASHERS = [  # the first is for what is tried in this process; a site's own takes long
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
