"""Being told: by mail, by a webhook, and by a URL that a monitor watches."""
