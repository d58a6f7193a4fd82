"""
Sites on PostgreSQL: web machines, each with a data folder and processes of its own, on one
database.
"""

import os
from pathlib import Path

from tests.postgres.server import Server
from tests.processes import run_manage
from tests.site import Site

KEYS = "api_keys.json"


def make_site(server: Server, data: Path) -> Site:
    """A web machine with an empty database of its own, migrated, and one key for everything."""
    variables = {
        "TASKDOG_DATABASE_URL": server.url(server.make_database()),
        "PATH": f"{server.programs}{os.pathsep}{os.environ['PATH']}",  # that of its own release
    }
    for command in (("migrate", "--verbosity", "0"), ("create_api_key", "tester")):
        finished = run_manage(*command, data_dir=data, **variables)
        assert finished.code == 0, finished.err
    return Site(data, finished.out.strip(), variables)


def another_machine(site: Site, data: Path) -> Site:
    """A second web machine on the database of a site, which takes the same key."""
    data.mkdir(mode=0o700)
    for name in (KEYS, "secret_key"):  # an operator gives both to every machine
        (data / name).write_bytes((site.data / name).read_bytes())
        (data / name).chmod(0o600)
    return Site(data, site.key, dict(site.variables))


def database_name(site: Site) -> str:
    """The name of a site's database on its server."""
    return site.variables["TASKDOG_DATABASE_URL"].rpartition("/")[2]
