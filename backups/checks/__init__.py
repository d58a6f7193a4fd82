"""System checks: each way to install or to set this app wrong, with a hint."""
