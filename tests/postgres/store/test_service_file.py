"""A service file of libpq: what the settings name beside it counts for the programs too."""

from pathlib import Path

import pytest

from backups.postgres.server import Server as CoreServer
from tests.postgres.server import Server
from tests.postgres.stores import Store, new_snapshot, new_store

pytestmark = pytest.mark.postgres

# libpq prefers a service file to its own environment variables, and a parameter to both.
SERVICE = """
[site]
host={server.host}
port={server.port}
user=postgres
password={server.password}
dbname=postgres
"""


class StoreOfService(Store):
    """It names the service, and the role."""

    @property
    def core(self) -> CoreServer:
        """The server, as the store reaches it."""
        return CoreServer({"service": "site", "user": self.server.role}, self.template)


@pytest.mark.parametrize("variable", [False, True])
def test_another_role_and_another_database_in_it_are_not_used(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    file = tmp_path / "service"
    file.write_text(SERVICE.format(server=postgres))
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    kind = Store if variable else StoreOfService
    if variable:
        monkeypatch.setenv("PGSERVICE", "site")
    plain = new_store(postgres, tmp_path / "machine", "old")
    store = kind(postgres, plain.database, tmp_path / "machine")
    snapshot = new_snapshot(postgres, tmp_path / "other")
    store.stage(store.snapshot())
    assert store.label(store.names.pending) == "old"
    store.stage(snapshot)
    assert store.apply_now().outcome == "applied"
    assert store.label() == "new"
    store.drop()
