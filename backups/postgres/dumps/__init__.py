"""What is inside a dump of pg_dump, judged before one statement of it runs."""
