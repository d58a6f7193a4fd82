"""
Signals for a site, e.g. for its audit log.

Receivers run afterwards: an error in one is logged, and undoes nothing.
"""

from django.dispatch import Signal

snapshot_taken = Signal()
"""
The first bytes of a snapshot were handed out. The last ones follow when every receiver has run.

Arguments: ``size`` (bytes), ``method`` ("compact", "pages" or "dump"), ``taken_at``, ``taken_by``.
"""

snapshot_stored = Signal()
"""
A snapshot is whole in the storage, with its manifest. Arguments: ``database`` (an alias, or None),
``stored`` (``archive.catalog.StoredSnapshot``).
"""

snapshot_verified = Signal()
"""A stored snapshot was tried. Arguments: ``database``, ``stored``, ``verification``, ``by``."""

snapshots_pruned = Signal()
"""Stored snapshots were deleted. Arguments: ``database``, ``ids``, ``by``."""

backup_failed = Signal()
"""
A backup could not be stored, or a stored snapshot was found damaged, or would be refused.
Arguments: ``database``, ``error``, ``by``.
"""

restore_recorded = Signal()
"""A restore got a new receipt while the site was running. Argument: the ``receipt``."""

content_replaced = Signal()
"""A restore was applied while this process was running: clear what you cache of the database."""
