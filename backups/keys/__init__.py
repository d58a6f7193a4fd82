"""API keys: their file, their form, when each was used, and what wrong ones lead to."""
