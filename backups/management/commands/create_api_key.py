"""``manage.py create_api_key``: make a key and show it once."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from backups.conf import conf
from backups.keys.api_keys import create_key, known_scopes, read_keys, revoke_key, scopes_in_order
from backups.management.base import StoreCommand
from backups.management.key_options import add_expiry, chosen_key_file, expiry
from backups.management.output import printing
from backups.site import local_store
from backups.startup.precedence import unless_taken

NEXT_STEPS = """\
The key {name!r} may: {scopes}. Only its hash is kept, in {path},
so it can't be shown again. To try it:

  curl -H "X-Api-Key: <the key>" -OJ https://<this site>/<where backups.urls is>/backup
"""


class CreateApiKey(StoreCommand):
    """Prints only the key to standard output, so that a script can read it."""

    help = "Create an API key and print it once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="whose key this is, as logs and receipts will say")
        parser.add_argument(
            "--scope",
            dest="scopes",
            action="append",
            choices=known_scopes(),
            help="what the key may do; repeat it for more than one (default: all of them)",
        )
        add_expiry(parser, default="it never expires")
        parser.add_argument("--if-none", action="store_true", help="do nothing if there is a key")

    def handle(self, *, name: str, scopes: list[str] | None, if_none: bool, **options: Any) -> None:
        path = chosen_key_file()
        if if_none and read_keys(path):
            self.say(f"There are API keys in {path} already; no key was made.")
            return
        if path.parent == conf.folder:
            local_store.make_own_folder()
        key = create_key(
            path,
            name=name,
            scopes=scopes,
            expires_at=expiry(options),
            owner_of=_of_the_server(path),
        )
        try:
            with printing("the key", self.stdout, then="So no key was made."):
                self.stdout.write(key)
        except CommandError:
            revoke_key(path, name=name)
            raise
        may = ", ".join(scopes_in_order(scopes))
        self.say(self.next_steps(name=name, scopes=may, path=path))

    def next_steps(self, *, name: str, scopes: str, path: Path) -> str:
        """The text for a person, on standard error."""
        return NEXT_STEPS.format(name=name, scopes=scopes, path=path)


def _of_the_server(path: Path) -> Path:
    """A path of the server's user: the database, or its folder before there is one."""
    beside = local_store.paths()
    return beside.database if beside and beside.database.exists() else path.parent


def __getattr__(name: str) -> Any:
    """``Command``, when Django asks for it: only then can the project's own be imported."""
    if name == "Command":
        return unless_taken("create_api_key", CreateApiKey)
    raise AttributeError(name)
