"""Pages for staff: whether backups are taken, what is stored, and a way to put one back."""
