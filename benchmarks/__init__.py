"""
How fast it is, beside what else there is: ``make bench``. Prints tables of ratios.

Every candidate is run in turn, again and again, and the medians are told: a machine that is busy
for a moment is so for all of them.
"""

import taskdog  # noqa: F401 - it chooses the SQLite, before anything imports one
