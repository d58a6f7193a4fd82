"""Files: durable steps, files that appear only when they are whole, locks, owners and modes."""
