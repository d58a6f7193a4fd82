"""HTTP: the views, who may call them, and how a snapshot is sent and received."""
