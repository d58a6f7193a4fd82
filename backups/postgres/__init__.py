"""Everything that knows PostgreSQL: the store of a site whose database is on a server."""
