"""How a snapshot is taken and sent."""
