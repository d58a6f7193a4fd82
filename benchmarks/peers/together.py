"""All peers at once."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from benchmarks.peers import Peers
from benchmarks.peers.litestream import litestream
from benchmarks.peers.pocketbase import pocketbase
from benchmarks.peers.taskdog_server import taskdog_server
from benchmarks.rounds import Candidate, Result
from benchmarks.samples import LeftOutError


class Running(Protocol):
    """A peer with its database."""

    def downloads(self) -> list[Candidate]:
        """Its ways to a copy."""
        ...

    def uploads(self, snapshot: Path) -> list[Candidate]:
        """Its ways back."""
        ...


PEERS: dict[str, Callable[[Peers, Path, Path], AbstractContextManager[Running]]] = {
    "taskdog's own server": taskdog_server,
    "PocketBase": pocketbase,
    "Litestream": litestream,
}


@contextmanager
def running_peers(
    peers: Peers, copy: Path, ways: Callable[[Running], list[Candidate]]
) -> Iterator[tuple[list[Candidate], list[Result]]]:
    """
    Run each peer until the end of the block, with another copy of the database ``copy``.

    :return: the candidates of the peers that run, and a result with the reason for each other.
    """
    folder = copy.with_name("peers")
    folder.mkdir()
    try:
        with ExitStack() as stack:
            candidates, left_out = [], []
            for name, enter in PEERS.items():
                (place := folder / name).mkdir()
                try:
                    candidates += ways(stack.enter_context(enter(peers, place, copy)))
                except LeftOutError as error:
                    left_out.append(Result(name, None, str(error)))
            yield candidates, left_out
    finally:
        shutil.rmtree(folder)
