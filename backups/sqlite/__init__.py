"""Everything that knows SQLite and the disk. Standard library only: it knows no Django."""
