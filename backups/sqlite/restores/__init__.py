"""From an upload to the live database: staged, pending, applied, concluded, repaired."""
