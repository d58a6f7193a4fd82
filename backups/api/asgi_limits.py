"""Under ASGI: whether a request came through ``backups.asgi.limit_requests``."""

import logging
import tempfile
from collections.abc import Mapping
from functools import cache
from typing import Any

LIMITED = "backups.limited"  # in the scope of each request that did

logger = logging.getLogger(__name__)


def warn_unless_limited(scope: Mapping[str, Any]) -> None:
    """Log, the first time in this process, that a request did not come through the limits."""
    if LIMITED not in scope:
        _warn()


@cache
def _warn() -> None:
    logger.warning(
        "unless a proxy limits them, this site receives bodies of any length: under ASGI, Django"
        " writes each to a file in %s, whoever sends it, before a view runs. Wrap the application"
        " in asgi.py: backups.asgi.limit_requests(get_asgi_application())",
        tempfile.gettempdir(),
    )
