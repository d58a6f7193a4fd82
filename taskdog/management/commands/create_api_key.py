"""``manage.py create_api_key``: make a key and show it once."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from taskdog import environment
from taskdog.api_keys import SCOPES, ApiKeyError, create_key, read_keys

NEXT_STEPS = """\
The key {name!r} may: {scopes}. It is kept, hashed, in {path}
and cannot be shown again. To try it:

  export TASKDOG_API_KEY='<the key>'
  curl -H "X-Api-Key: $TASKDOG_API_KEY" {url}/api/v1/tasks
  curl -H "X-Api-Key: $TASKDOG_API_KEY" -OJ {url}/api/v1/backup
"""


class Command(BaseCommand):
    """Standard output carries the key and nothing else, so that a script can take it from there."""

    help = "Create an API key and print it once, alone on standard output."
    # The first key is made before the database exists, and the checks may want one.
    requires_system_checks = []  # noqa: RUF012  as Django spells it

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("name", help="whose key this is, as the audit log will say")
        parser.add_argument(
            "--scope",
            dest="scopes",
            action="append",
            choices=SCOPES,
            help="what the key may do; repeat it for more than one (default: all of them)",
        )
        parser.add_argument(
            "--if-none", action="store_true", help="do nothing if there is any key already"
        )

    def handle(self, *, name: str, scopes: list[str] | None, if_none: bool, **options: Any) -> None:
        """Make the key, then say what to do with it."""
        path = settings.TASKDOG_API_KEYS_FILE
        try:
            if if_none and read_keys(path):
                self.stderr.write(f"There are API keys in {path}; none was made.")
                return
            key = create_key(path, name=name, scopes=scopes or SCOPES)
        except (ApiKeyError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(key)
        self.stderr.write(
            NEXT_STEPS.format(
                name=name,
                scopes=", ".join(scope for scope in SCOPES if scope in (scopes or SCOPES)),
                path=path,
                url=f"http://127.0.0.1:{environment.text('PORT', '8000')}",
            ),
        )
