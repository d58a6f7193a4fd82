from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from backups.conf import Setting, conf

DEFAULTS = {
    "BACKUPS_DATABASE": ("database", "default"),
    "BACKUPS_NAME": ("name", "taskdog"),  # the package of ROOT_URLCONF
    "BACKUPS_MAX_UPLOAD_BYTES": ("max_upload_bytes", 10 * 1024**3),
    "BACKUPS_CHECK_SECONDS": ("check_seconds", 300.0),
    "BACKUPS_MIGRATE_SECONDS": ("migrate_seconds", 900.0),
    "BACKUPS_MIGRATE_PROCESSOR_SECONDS": ("migrate_processor_seconds", 900.0),
    "BACKUPS_MIGRATE_MEMORY_BYTES": ("migrate_memory_bytes", 4 * 1024**3),
    "BACKUPS_MIGRATE_TRIES": ("migrate_tries", 3),
    "BACKUPS_KEPT_COPIES": ("kept_copies", 3),
    "BACKUPS_KEPT_DAYS": ("kept_days", 7),
    "BACKUPS_LIVE_SECONDS": ("live_seconds", 30.0),
    "BACKUPS_COMPACT_UP_TO": ("compact_up_to", 256 * 1024**2),
    "BACKUPS_SNAPSHOTS_AT_ONCE": ("snapshots_at_once", 4),
    "BACKUPS_UPLOADS_AT_ONCE": ("uploads_at_once", 2),
    "BACKUPS_KEEP_FREE_BYTES": ("keep_free_bytes", None),
    "BACKUPS_CHECK_MEMORY_BYTES": ("check_memory_bytes", 1024**3),
    "BACKUPS_CHECK_PROCESSES": ("check_processes", 0),
    "BACKUPS_SPOOL_SECONDS": ("spool_seconds", 10.0),
    "BACKUPS_STALL_SECONDS": ("stall_seconds", 30.0),
    "BACKUPS_MAX_BODY_BYTES": ("max_body_bytes", 1024**2),
    "BACKUPS_MIN_BYTES_PER_SECOND": ("min_bytes_per_second", 32768.0),
    "BACKUPS_RESUME_SECONDS": ("resume_seconds", 300.0),
    "BACKUPS_CLEAR_SESSIONS": ("clear_sessions", True),
    "BACKUPS_ALLOW_UNKNOWN_SCHEMA": ("allow_unknown_schema", False),
    "BACKUPS_BACKUP_PERMISSION": ("backup_permission", "backups.api.permissions.MayBackUp"),
    "BACKUPS_RESTORE_PERMISSION": ("restore_permission", "backups.api.permissions.MayRestore"),
    "BACKUPS_KEY_FILE": ("key_file", None),
    "BACKUPS_EXTRA_SCOPES": ("extra_scopes", ()),
    "BACKUPS_RECOGNISER": ("recogniser", ""),
    "BACKUPS_CONNECTION_SETUP": ("connection_setup", ""),
    "BACKUPS_PYTHON": ("python", ""),
    "BACKUPS_REMOTE_URL": ("remote_url", ""),
    "BACKUPS_REMOTE_KEY": ("remote_key", ""),
    "BACKUPS_REMOTE_HEADER": ("remote_header", "X-Api-Key"),
    "BACKUPS_REMOTE_INSECURE": ("remote_insecure", False),
    "BACKUPS_OWN_FILES": ("own_files", ()),
    "BACKUPS_FOLDER": ("folder", None),
    "BACKUPS_POSTGRES_PROGRAMS": ("postgres_programs", None),
    "BACKUPS_POSTGRES_CONNECTION": ("postgres_connection", {}),
    "BACKUPS_POSTGRES_TEMPLATE": ("postgres_template", "template0"),
    "BACKUPS_JOB_SECONDS": ("job_seconds", 20.0),
    "BACKUPS_SCHEDULE": ("schedule", ""),
    "BACKUPS_SCHEDULE_JITTER": ("schedule_jitter", 0.0),
    "BACKUPS_VERIFY": ("verify", "daily"),
    "BACKUPS_BEFORE_MIGRATE": ("before_migrate", False),
    "BACKUPS_MEDIA": ("media", False),
    "BACKUPS_MEDIA_LEAVE_OUT": ("media_leave_out", ()),
    "BACKUPS_RECIPIENTS": ("recipients", ()),
    "BACKUPS_IDENTITY_FILE": ("identity_file", None),
    "BACKUPS_COMPRESSION_LEVEL": ("compression_level", 3),
    "BACKUPS_SKIP_UNCHANGED": ("skip_unchanged", True),
    "BACKUPS_RELEASE": ("release", ""),
    "BACKUPS_NOTIFY_MAIL": ("notify_mail", None),
    "BACKUPS_WEBHOOK": ("webhook", ""),
    "BACKUPS_PING_URL": ("ping_url", ""),
    "BACKUPS_REMIND_HOURS": ("remind_hours", 24.0),
    "BACKUPS_MAX_AGE": ("max_age", None),
    "BACKUPS_METRICS_OPEN": ("metrics_open", False),
    "BACKUPS_KEEP": ("keep", {"last": 7, "hourly": 24, "daily": 7, "weekly": 5, "monthly": 12}),
}


def test_every_setting_is_known_here() -> None:
    members = vars(type(conf)).items()
    known = {name for name, member in members if isinstance(member, property | Setting)}
    assert known == {name for name, _ in DEFAULTS.values()}


@pytest.mark.parametrize("setting", DEFAULTS)
def test_setting_that_is_absent_has_its_default(setting: str, settings: Settings) -> None:
    if hasattr(settings, setting):
        delattr(settings, setting)
    name, default = DEFAULTS[setting]
    assert getattr(conf, name) == default


@pytest.mark.parametrize("setting", DEFAULTS)
def test_settings_are_read_at_use(setting: str, settings: Settings) -> None:
    name, default = DEFAULTS[setting]
    other: object = f"{default}-other" if isinstance(default, str) else 7
    if isinstance(default, bool):
        other = not default
    elif name in ("key_file", "identity_file", "folder", "postgres_programs"):
        other = Path("/keys.json")
    elif name == "own_files":
        other = (Path("/secret"),)
    elif name == "postgres_connection":
        other = {"host": "127.0.0.1"}
    elif name == "max_age":
        other = timedelta(hours=7)
    elif isinstance(default, tuple) or name == "notify_mail":
        other = ("reports",)
    setattr(settings, setting, other)
    assert getattr(conf, name) == other


def test_name_is_the_project_s_own(settings: Settings) -> None:
    del settings.BACKUPS_NAME
    settings.ROOT_URLCONF = "orchard.web.urls"
    assert conf.name == "orchard"
