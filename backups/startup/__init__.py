"""What each process does when it starts: apply what is pending, and hold presence."""
