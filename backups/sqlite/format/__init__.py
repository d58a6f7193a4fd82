"""What is inside a SQLite file, and how it is opened."""
