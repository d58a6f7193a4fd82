"""All that knows SQLite and the disk. Standard library only: Django is a coat around it."""
