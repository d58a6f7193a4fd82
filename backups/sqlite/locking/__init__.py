"""Which processes are there, and whose turn it is."""
