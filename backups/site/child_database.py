"""Which database a child of the site works on."""

from typing import Any

from django.conf import settings

from backups.conf import conf
from backups.site.engine import POSTGRES, vendor_of

OWN_WORDS = ("host", "port", "user", "password")  # for these Django has words of its own


def point_at(alias: str, database: str) -> None:
    """Let the alias be this database. A pooler, which does not know it, is left out."""
    entry: dict[str, Any] = settings.DATABASES[alias]
    entry["NAME"] = database
    if vendor_of(alias) == POSTGRES:
        given = dict(conf.postgres_connection)
        entry.update({each.upper(): given.pop(each) for each in OWN_WORDS if each in given})
        options = entry.get("OPTIONS", {}) | given
        options.pop("pool", None)  # this process has one connection
        entry["OPTIONS"] = options
