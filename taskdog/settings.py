"""
Settings of the site.

Whatever differs between two installations comes from the environment; whatever has to last is in
the data folder. Nothing here is secret.
"""

from pathlib import Path

from taskdog import __version__, archive, data_folder, databases, environment, logs, mail
from taskdog.local_zone import local_zone

BASE_DIR = Path(__file__).resolve().parent.parent

# Where the state is ---------------------------------------------------------------------------

data_folder.close_new_files()  # here, since every process of the site loads its settings first
TASKDOG_DATA_DIR = data_folder.prepare(
    # A relative one is meant from the checkout: a command and the server may start elsewhere.
    BASE_DIR / Path(environment.text("TASKDOG_DATA_DIR", "data")).expanduser()
)
SECRET_KEY = data_folder.secret_key(TASKDOG_DATA_DIR / "secret_key")

# Not in the database: a snapshot of it would let whoever has it be whoever is logged in.
SESSION_ENGINE = "django.contrib.sessions.backends.file"
SESSION_FILE_PATH = data_folder.sessions(TASKDOG_DATA_DIR / "sessions")

DATABASES = {"default": databases.default(TASKDOG_DATA_DIR / data_folder.DATABASE)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Who may call ---------------------------------------------------------------------------------

DEBUG = environment.flag("TASKDOG_DEBUG", default=False)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *environment.items("TASKDOG_ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = environment.items("TASKDOG_TRUSTED_ORIGINS")
TASKDOG_AUTH_ENABLED = environment.flag("TASKDOG_AUTH_ENABLED", default=True)

LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "/api/v1/tasks"
LOGOUT_REDIRECT_URL = LOGIN_URL
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# TLS, which a proxy in front ends; gunicorn tells Django by X-Forwarded-Proto
TASKDOG_HTTPS = environment.flag("TASKDOG_HTTPS", default=False)
SECURE_SSL_REDIRECT = TASKDOG_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health$"]  # a probe asks from within, without TLS
SESSION_COOKIE_SECURE = TASKDOG_HTTPS
CSRF_COOKIE_SECURE = TASKDOG_HTTPS
SECURE_HSTS_SECONDS = (
    environment.whole_number("TASKDOG_HSTS_SECONDS", default=365 * 24 * 3600)  # one year
    if TASKDOG_HTTPS
    else 0
)
SECURE_HSTS_INCLUDE_SUBDOMAINS = TASKDOG_HTTPS
SECURE_HSTS_PRELOAD = TASKDOG_HTTPS
X_FRAME_OPTIONS = "DENY"

# How many proxies in front extend X-Forwarded-For: an address in it is believed only so far
TASKDOG_NUM_PROXIES = environment.whole_number("TASKDOG_NUM_PROXIES", default=0)
# Failed logins, which all workers count together; not in the database, which a restore replaces
TASKDOG_FAILED_LOGINS = TASKDOG_DATA_DIR / "failed_logins"

# What runs ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "backups",  # first: it puts a pending restore in place before anybody opens the database
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",  # its table stays empty: snapshots of earlier releases have it
    "django.contrib.staticfiles",
    "rest_framework",
    "django_htmx",  # the scripts of the pages at /backups
    "drf_spectacular",
    "drf_spectacular_sidecar",  # the files of the page at /api/v1/docs
    "taskdog",
    "taskdog.tasks",
    "taskdog.audit",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "taskdog.response_headers.ResponseHeadersMiddleware",
    "taskdog.body_limit.BodyLimitMiddleware",
    "taskdog.cross_site.CrossSiteMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "taskdog.urls"
APPEND_SLASH = False  # the clients follow no redirect
WSGI_APPLICATION = "taskdog.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # straight from the packages: no collectstatic, no copies

REST_FRAMEWORK = {
    # The key first: it needs a header only, and answers a caller without one with 401.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "backups.api.authentication.ApiKeyAuthentication",
        "taskdog.authentication.StaffSessionAuthentication",
    ],
    # Not open by default: a view that forgets to say who may call it stays closed.
    "DEFAULT_PERMISSION_CLASSES": ["taskdog.permissions.MayUseTasks"],
    "DEFAULT_PARSER_CLASSES": ["taskdog.parsers.JsonParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_SCHEMA_CLASS": "taskdog.schema.endpoints.EndpointSchema",
    "DEFAULT_METADATA_CLASS": "taskdog.metadata.EndpointMetadata",
    "NUM_PROXIES": TASKDOG_NUM_PROXIES,
    "EXCEPTION_HANDLER": "taskdog.errors.answer_exception",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "taskdog",
    "VERSION": __version__,
    "DESCRIPTION": (
        "Tasks, their audit log, and backups of it all. Times of tasks are local, without an "
        "offset. A method that an endpoint does not have is a 405, a type that it does not speak "
        "a 406; both have `detail`."
    ),
    "OAS_VERSION": "3.1.0",  # whose schemas are JSON Schema, so that answers can be checked
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_PATCH": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "TaskStatus": "taskdog.tasks.models.TaskStatus",
        "RestoreState": ["pending", "nothing"],
        "PendingState": ["pending"],
        "AppliedState": ["applied"],
        "DiscardedState": ["discarded"],
        "OutcomeEnum": ["staged", "discarded", "applied", "refused", "blocked"],
        "DownloadOutcome": ["begun", "whole", "broken off"],
        "VerificationOutcome": ["restorable", "refused", "damaged", "unreadable"],
        "StoreState": ["stored", "unchanged"],
        "DeletedState": ["deleted"],
        "JobState": ["running", "done", "failed", "stopped"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "taskdog.schema.site.add_plain_views",
    ],
    # From our own server, under gunicorn by WhiteNoise: a site may be without the internet.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Time and words: local times without an offset, on the wire and in the store -------------------

USE_TZ = False
TIME_ZONE = local_zone(environment.text("TASKDOG_TIME_ZONE"))
USE_I18N = False

LOGGING = logs.logging_config(
    log_format=environment.choice("TASKDOG_LOG_FORMAT", logs.FORMATS, default="text"),
    level=environment.choice("TASKDOG_LOG_LEVEL", logs.LEVELS, default="INFO"),
)

# Backups --------------------------------------------------------------------------------------

BACKUPS_NAME = "taskdog"
BACKUPS_FOLDER = TASKDOG_DATA_DIR
BACKUPS_POSTGRES_CONNECTION = databases.direct()
if environment.text("TASKDOG_POSTGRES_PROGRAMS"):
    BACKUPS_POSTGRES_PROGRAMS = environment.text("TASKDOG_POSTGRES_PROGRAMS")
BACKUPS_POSTGRES_TEMPLATE = environment.text("TASKDOG_POSTGRES_TEMPLATE", default="template0")
BACKUPS_KEY_FILE = TASKDOG_DATA_DIR / "api_keys.json"
BACKUPS_OWN_FILES = [TASKDOG_DATA_DIR / "secret_key"]
BACKUPS_EXTRA_SCOPES = ["tasks"]
BACKUPS_BACKUP_PERMISSION = "taskdog.permissions.MayBackUp"
BACKUPS_RESTORE_PERMISSION = "taskdog.permissions.MayRestore"
BACKUPS_RECOGNISER = "taskdog.imports.revisions.recognise"
BACKUPS_REMOTE_URL = environment.text("TASKDOG_API_BASE_URL")
BACKUPS_REMOTE_KEY = environment.text("TASKDOG_API_KEY")
BACKUPS_REMOTE_INSECURE = environment.flag("TASKDOG_API_INSECURE", default=False)
BACKUPS_KEPT_COPIES = environment.whole_number("TASKDOG_KEPT_COPIES", default=3)
BACKUPS_KEPT_DAYS = environment.whole_number("TASKDOG_KEPT_DAYS", default=7)
BACKUPS_LIVE_SECONDS = environment.whole_number("TASKDOG_LIVE_SECONDS", default=30, minimum=1)
BACKUPS_COMPACT_UP_TO = environment.whole_number("TASKDOG_COMPACT_UP_TO", default=256 * 1024**2)
BACKUPS_SNAPSHOTS_AT_ONCE = environment.whole_number(
    "TASKDOG_SNAPSHOTS_AT_ONCE", default=4, minimum=1
)
BACKUPS_UPLOADS_AT_ONCE = environment.whole_number("TASKDOG_UPLOADS_AT_ONCE", default=2, minimum=1)
BACKUPS_SPOOL_SECONDS = environment.whole_number("TASKDOG_SPOOL_SECONDS", default=10, minimum=1)
BACKUPS_RESUME_SECONDS = environment.whole_number("TASKDOG_RESUME_SECONDS", default=300)
BACKUPS_STALL_SECONDS = environment.whole_number("TASKDOG_STALL_SECONDS", default=30, minimum=1)
BACKUPS_MIN_BYTES_PER_SECOND = environment.whole_number(
    "TASKDOG_MIN_BYTES_PER_SECOND", default=32 * 1024, minimum=1
)
BACKUPS_MIGRATE_SECONDS = environment.whole_number(
    "TASKDOG_MIGRATE_SECONDS", default=900, minimum=1
)
BACKUPS_MIGRATE_MEMORY_BYTES = environment.whole_number(
    "TASKDOG_MIGRATE_MEMORY_BYTES", default=4 * 1024**3, minimum=1
)
BACKUPS_MIGRATE_TRIES = environment.whole_number("TASKDOG_MIGRATE_TRIES", default=3, minimum=1)
if environment.text("TASKDOG_KEEP_FREE_BYTES"):
    BACKUPS_KEEP_FREE_BYTES = environment.whole_number("TASKDOG_KEEP_FREE_BYTES", default=0)
if environment.text("TASKDOG_CHECK_MEMORY_BYTES"):
    BACKUPS_CHECK_MEMORY_BYTES = environment.whole_number(
        "TASKDOG_CHECK_MEMORY_BYTES", default=0, minimum=128 * 1024**2
    )
BACKUPS_CHECK_PROCESSES = environment.whole_number("TASKDOG_CHECK_PROCESSES", default=0)
BACKUPS_MAX_BODY_BYTES = environment.whole_number(
    "TASKDOG_MAX_BODY_BYTES", default=1024**2, minimum=1
)
BACKUPS_RELEASE = __version__
# A form, such as that of the login: nothing of it is ever written to the disk.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = DATA_UPLOAD_MAX_MEMORY_SIZE = BACKUPS_MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FILES = 1

# Mail, which only a failed backup needs -------------------------------------------------------

globals().update(mail.mail_settings())  # which Django 6.1 has under another name
SERVER_EMAIL = environment.text("TASKDOG_MAIL_FROM", "taskdog@localhost")

# Scheduled backups and the archive ------------------------------------------------------------

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "backups": archive.storage(TASKDOG_DATA_DIR / "backups"),
}
BACKUPS_SCHEDULE = archive.schedule()
BACKUPS_SCHEDULE_JITTER = environment.whole_number("TASKDOG_BACKUP_SCHEDULE_JITTER", default=0)
BACKUPS_VERIFY = environment.choice(
    "TASKDOG_BACKUP_VERIFY", ("always", "daily", "never"), default="daily"
)
if environment.text("TASKDOG_BACKUP_KEEP"):
    BACKUPS_KEEP = archive.keep()
BACKUPS_BEFORE_MIGRATE = environment.flag("TASKDOG_BACKUP_BEFORE_MIGRATE", default=False)
BACKUPS_RECIPIENTS = archive.recipients()
BACKUPS_IDENTITY_FILE = environment.text("TASKDOG_BACKUP_IDENTITY_FILE")
BACKUPS_COMPRESSION_LEVEL = environment.whole_number(
    "TASKDOG_BACKUP_COMPRESSION_LEVEL", default=3, minimum=1
)
BACKUPS_SKIP_UNCHANGED = environment.flag("TASKDOG_BACKUP_SKIP_UNCHANGED", default=True)
BACKUPS_NOTIFY_MAIL = environment.items("TASKDOG_BACKUP_MAIL")
BACKUPS_WEBHOOK = environment.text("TASKDOG_BACKUP_WEBHOOK")
BACKUPS_PING_URL = environment.text("TASKDOG_BACKUP_PING_URL")
BACKUPS_REMIND_HOURS = environment.whole_number(
    "TASKDOG_BACKUP_REMIND_HOURS", default=24, minimum=1
)
if environment.text("TASKDOG_BACKUP_MAX_AGE"):
    BACKUPS_MAX_AGE = environment.whole_number("TASKDOG_BACKUP_MAX_AGE", default=0, minimum=1)
BACKUPS_METRICS_OPEN = environment.flag("TASKDOG_METRICS_OPEN", default=False)

if environment.text("TASKDOG_MAX_UPLOAD_BYTES"):
    BACKUPS_MAX_UPLOAD_BYTES = environment.whole_number(
        "TASKDOG_MAX_UPLOAD_BYTES", default=0, minimum=1
    )
