"""The site's media files: they go along with each stored snapshot, each content once."""
