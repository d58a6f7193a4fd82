"""``manage.py create_api_key``: as ``backups`` has it, and how to use the key on this site."""

from pathlib import Path

from backups.management.commands.create_api_key import CreateApiKey
from taskdog import environment

NEXT_STEPS = """\
The key {name!r} may: {scopes}. It is kept, hashed, in {path}
and cannot be shown again. To try it:

  export TASKDOG_API_KEY='<the key>'
"""
TRIES = {  # what a key with the scope may
    "tasks": "{url}/api/v1/tasks",
    "backup": "-OJ {url}/api/v1/backup",
    "restore": "{url}/api/v1/restore",
}
MORE = """\

It may not back up or restore. A key that may do both:

  manage.py create_api_key NAME --scope backup --scope restore
"""


class Command(CreateApiKey):
    """Names the site's own address and variable."""

    def next_steps(self, *, name: str, scopes: str, path: Path) -> str:
        """What to tell a person, on standard error."""
        url = f"http://127.0.0.1:{environment.text('PORT', '8000')}"
        may = scopes.split(", ")
        tries = [
            f'  curl -H "X-Api-Key: $TASKDOG_API_KEY" {TRIES[scope].format(url=url)}\n'
            for scope in may
        ]
        more = MORE if may == ["tasks"] else ""
        return NEXT_STEPS.format(name=name, scopes=scopes, path=path) + "".join(tries) + more
