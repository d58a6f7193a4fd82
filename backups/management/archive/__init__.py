"""The verbs of ``manage.py backups``: a module each."""
