"""The databases that a restore has replaced, and the settling of the one that is to be kept."""
