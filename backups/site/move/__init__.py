"""Fill an empty PostgreSQL database with all that a SQLite snapshot of the same project has."""
