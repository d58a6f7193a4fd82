"""What each process does when it starts: apply a pending restore, and hold presence."""
