"""
One line per event on standard error, for people (text) or machines (json).

Django, gunicorn, ``backups`` and ``taskdog`` all log through this configuration.
"""

import logging
from typing import Any

FORMATS = ("text", "json")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LINE_MARK = "\\n"  # backslash and n: how a line break inside an event is shown

TEXT = "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"
JSON = "%(asctime)s %(levelname)s %(process)d %(name)s %(message)s"

# Those that bring their own handlers; without them their events reach the root once.
LIBRARIES = ("django", "django.server", "gunicorn.error", "gunicorn.access")


class OneLineFormatter(logging.Formatter):
    """Keep an event on one line, its traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the event, with each line break shown as a mark."""
        lines = super().format(record).splitlines()
        return LINE_MARK.join(lines)


def logging_config(*, log_format: str, level: str) -> dict[str, Any]:
    """
    Build the dictionary that ``logging.config.dictConfig`` takes.

    :param log_format: one of ``FORMATS``.
    :param level: one of ``LEVELS``; quieter events are dropped.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"()": "taskdog.logs.OneLineFormatter", "format": TEXT},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": JSON,
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
            },
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": log_format,
            }
        },
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {name: {"handlers": [], "propagate": True} for name in LIBRARIES},
    }
