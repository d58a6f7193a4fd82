"""HTTP: what a request may ask for, who may, and how a snapshot goes out or comes in."""
