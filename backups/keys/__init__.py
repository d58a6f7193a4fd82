"""API keys: their file, their form, when each was last used, and what happens to wrong ones."""
