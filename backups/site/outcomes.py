"""The outcome of a restore: for the log, and for the site's own apps."""

import logging

from backups import signals
from backups.conf import conf
from backups.site.query_limit import query_limit
from backups.store import BackupStore, Receipt

logger = logging.getLogger("backups.services")


def announce(store: BackupStore) -> None:
    """Tell the site's own apps that there is a new receipt. Their errors are logged."""
    for receipt in store.list_receipts()[:1]:  # empty if it could not be written
        with query_limit():  # a query on the live database may never end
            signals.restore_recorded.send_robust(sender=None, receipt=receipt)


def log(receipt: Receipt, database: str | None) -> None:
    """Say what a restore did, and what to do next."""
    if receipt.outcome == "applied":
        which = f" --database {database}" if database not in (None, conf.database) else ""
        logger.warning(
            "restore applied (staged by %s%s); %s%s",
            receipt.staged_by,
            f", SHA-256 {receipt.sha256}" if receipt.sha256 else "",
            f"the old database is kept as {receipt.kept}. If the site hangs or fails on the new"
            f" one, undo this with: manage.py restore_db --undo{which}, then start the server"
            " again"
            if receipt.kept
            else "there was no old database",
            f"; {receipt.reason}" if receipt.reason else "",
        )
        if receipt.removed:
            logger.warning(
                "the restore made another kept copy, so older ones were removed: %s",
                ", ".join(receipt.removed),
            )
    elif receipt.outcome == "refused":
        logger.error(
            "restore refused, the site runs on its old data: %s The snapshot is set aside as %s",
            receipt.reason,
            receipt.kept,
        )
    else:
        logger.warning(
            "restore still pending, the site runs on its old data: %s"
            " To apply it, stop every process of the site, then start the server",
            receipt.reason,
        )
