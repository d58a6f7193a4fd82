"""Tags for the templates of the pages, and for those of the admin and the browsable API."""
