"""System checks of how this app is installed and configured. Each problem has a hint."""
