"""
Signals for a site, e.g. for its audit log.

Receivers run after the fact: an error in one is logged, and changes nothing of what was done.
"""

from django.dispatch import Signal

snapshot_taken = Signal()
"""
The first bytes of a snapshot are handed out; the last ones follow when every receiver has run.

Arguments: ``size`` (bytes), ``method`` ("compact" or "pages"), ``taken_at``, ``taken_by``.
"""

restore_recorded = Signal()
"""Something happened to a restore while the site runs. Argument: its ``receipt``."""

content_replaced = Signal()
"""A restore was applied while this process runs: clear what you cache of the database."""
