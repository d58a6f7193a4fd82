"""The commands, and the modules that they share."""
