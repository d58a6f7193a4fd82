"""The site's media files, stored with each snapshot. Each content is stored once."""
