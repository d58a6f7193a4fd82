"""Check what a server sends as a snapshot while it arrives, before a file gets its name."""

from collections.abc import Iterable, Iterator

from backups.exceptions import ClientError, NotADatabaseError, TransferInterruptedError
from backups.sqlite.format.header import HEADER_BYTES, Header
from backups.sqlite.format.wrappings import LOOK_BYTES, recognise

NOT_ASKED = "Check the URL and its path, the proxy in front of the site, and the site."


def checked(chunks: Iterable[bytes], url: str) -> Iterator[bytes]:
    """
    Pass the chunks on if their header is that of a SQLite database, and its size is theirs.

    Nothing is passed on before the whole header has arrived, nor a chunk that exceeds that size.

    :param url: where the chunks come from, for the messages.
    :raises ClientError: this is not a database, or is longer than its header says.
    :raises TransferInterruptedError: it is cut off.
    """
    header, head, received = None, b"", 0
    for chunk in chunks:
        received += len(chunk)
        if header is None:
            head += chunk
            if len(head) < HEADER_BYTES:
                continue
            header, chunk = _parse(head, url), head
        if header.page_count is not None:  # else checked at the end
            _check_is_not_longer(header, received, url)
        yield chunk
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


def _check_is_not_longer(header: Header, received: int, url: str) -> None:
    promised = header.promised_bytes(received)
    if received > promised:
        raise ClientError(
            f"What {url} sends is longer than the database that its header announces: {promised:,}"
            " bytes.",
            hint=NOT_ASKED,
        )
