"""Check what a server sends as a snapshot while it arrives, before a file gets its name."""

from collections.abc import Iterable, Iterator

from backups.exceptions import ClientError, NotADatabaseError, TransferInterruptedError
from backups.sqlite.format.file_length import Header
from backups.sqlite.format.header import HEADER_BYTES
from backups.sqlite.format.wrappings import DUMP, LOOK_BYTES, recognise

NOT_ASKED = "Check the URL and its path, the proxy in front of the site, and the site."


def checked(chunks: Iterable[bytes], url: str, size: int | None = None) -> Iterator[bytes]:
    """
    Pass the chunks on if they are a SQLite database whose header promises as many bytes, or a dump
    of PostgreSQL whose length the server has announced.

    Nothing is passed on before the whole header has arrived, nor a chunk that exceeds that size.

    :param url: where the chunks come from, for the messages.
    :param size: how many bytes the server has announced, which the caller holds it to.
    :raises ClientError: this is not a database, or is longer than its header says.
    :raises TransferInterruptedError: it is cut off.
    """
    header, head, received, is_dump = None, b"", 0, False
    for chunk in chunks:
        if is_dump:
            yield chunk
            continue
        received += len(chunk)
        if header is None:
            head += chunk
            if is_dump := head.startswith(DUMP):
                _check_is_announced(size, url)
                yield head
                continue
            if len(head) < HEADER_BYTES:
                continue
            header, chunk = _parse(head, url), head
        if header.page_count is not None:  # else checked at the end
            _check_is_not_longer(header, received, url)
        yield chunk
    if is_dump:
        return
    header = header or _parse(head, url)
    _check_is_not_longer(header, received, url)
    if received < (promised := header.promised_bytes(received)):
        raise TransferInterruptedError(
            f"What {url} sent is cut off: its header says {promised:,} bytes, but it has"
            f" {received:,}."
        )


def _parse(head: bytes, url: str) -> Header:
    try:
        return Header.parse(head)
    except NotADatabaseError as error:
        wrapping = recognise(head[:LOOK_BYTES])
        what = f": it is {wrapping.what}" if wrapping else ""
        raise ClientError(f"{url} did not answer with a database{what}.", hint=NOT_ASKED) from error


def _check_is_announced(size: int | None, url: str) -> None:
    """Nothing in a dump says how long it is."""
    if size is None:
        raise ClientError(f"{url} does not say how long its dump is.", hint=NOT_ASKED)


def _check_is_not_longer(header: Header, received: int, url: str) -> None:
    promised = header.promised_bytes(received)
    if received > promised:
        raise ClientError(
            f"What {url} sends is longer than the database that its header announces: {promised:,}"
            " bytes.",
            hint=NOT_ASKED,
        )
