"""What django-dbbackup needs to know, in an environment of its own (requirements-bench.txt)."""

import os

SECRET_KEY = "of no use"  # noqa: S105 - nothing is signed
INSTALLED_APPS = ["dbbackup"]
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BENCHMARK_DATABASE", ""),
    }
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "dbbackup": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ.get("BENCHMARK_OUTPUT", "")},
    },
}
