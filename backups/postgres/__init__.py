"""Everything that knows PostgreSQL. It knows no Django."""
