"""What a store must know of the Django site: its databases, migrations, sessions and files."""
