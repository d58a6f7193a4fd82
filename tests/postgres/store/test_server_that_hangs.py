"""A server that takes connections and answers nothing, as behind a network that was cut."""

import socket
import threading
from pathlib import Path

import pytest

from backups.exceptions import DatabaseServerError
from tests.postgres.server import Server
from tests.postgres.stores import Store

pytestmark = pytest.mark.postgres


def test_it_is_waited_for_once(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backups.postgres.server.CONNECT_SECONDS", 2)  # the least of libpq
    came = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def take() -> None:
            while True:
                try:
                    came.append(silent.accept())
                except OSError:
                    return

        thread = threading.Thread(target=take)
        thread.start()
        store = Store(postgres, "tasks", tmp_path, port=silent.getsockname()[1])
        try:
            with pytest.raises(DatabaseServerError, match="timeout"):
                store.real.get_status()
        finally:
            silent.shutdown(socket.SHUT_RDWR)
            thread.join()
    for connection, _ in came:
        connection.close()
    assert len(came) == 1
