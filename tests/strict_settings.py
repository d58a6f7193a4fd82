"""The site's own settings with what others switch on: each request is a transaction, and saves."""

from taskdog.settings import *  # noqa: F403
from taskdog.settings import DATABASES, MIDDLEWARE

DATABASES["default"]["ATOMIC_REQUESTS"] = True
SESSION_SAVE_EVERY_REQUEST = True
CSRF_USE_SESSIONS = True
MIDDLEWARE += ["tests.strict_middleware.save_user"]
