"""Files: each step that must last, names that only a whole file gets, locks, owners, modes."""
