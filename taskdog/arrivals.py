"""
A request while it arrives: its head, and its body if that is small.

Only what decides when a thread can take over is looked at here; gunicorn's parser reads the same
bytes again, and refuses what is malformed.

Source: RFC 9112 (sections 2.2, 6), RFC 9110 (section 10.1.1, Expect)
"""

import re
from urllib.parse import unquote_to_bytes

# Bytes of a request line and all headers: gunicorn alone would wait for up to 800 KB of them.
MAX_HEAD_BYTES = 64 * 1024

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,18})[ \t]*(?=\r\n)", re.IGNORECASE)
_ABSOLUTE = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")  # RFC 9112, 3.2.2
_CODING = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect[ \t]*:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)


class Arrival:
    """The bytes of one request, and possibly of the next one, in the order in which they came."""

    def __init__(self, already: bytes = b"") -> None:
        """:param already: what was read together with the request before."""
        self.data = bytearray()
        self._head_end = 0  # where the body begins; 0 while the head is not whole
        self.add(already)

    def add(self, data: bytes) -> None:
        """More has come."""
        looked_at = max(0, len(self.data) - len(_END_OF_HEAD))
        self.data += data
        if not self._head_end:
            # One empty line in front is allowed; a second one ends a head that has nothing in it.
            if self.data.startswith(_END_OF_HEAD):
                self._head_end = len(_END_OF_HEAD)
            elif (end := self.data.find(_END_OF_HEAD, looked_at)) >= 0:
                self._head_end = end + len(_END_OF_HEAD)

    @property
    def has_head(self) -> bool:
        """Whether the head is there to its end."""
        return self._head_end > 0

    @property
    def target(self) -> tuple[bytes, bytes]:
        """The method and the path, which the site will know, however it was written."""
        line = bytes(self.data[: self._head_end]).lstrip(b"\r\n").partition(b"\r\n")[0]
        method, _, rest = line.partition(b" ")
        path = re.split(rb"[ ?#]", rest, maxsplit=1)[0]
        return method, unquote_to_bytes(_ABSOLUTE.sub(b"", path))

    @property
    def is_too_long(self) -> bool:
        """Whether the head goes on for longer than any that this site needs."""
        return (self._head_end or len(self.data)) > MAX_HEAD_BYTES

    @property
    def body_bytes(self) -> int:
        """
        How long the body will be; 0 if there is none, or if that is not to be known from here: in
        chunks, or with more than one length, which the parser refuses.
        """
        head = bytes(self.data[: self._head_end])
        lengths = _LENGTH.findall(head)
        return int(lengths[0]) if len(lengths) == 1 and not _CODING.search(head) else 0

    @property
    def missing_bytes(self) -> int:
        """How much of the body has not come yet."""
        return max(0, self._head_end + self.body_bytes - len(self.data))

    def take_expectation(self) -> bool:
        """
        Whether the client waits for ``100 Continue`` before it sends its body. Who asks, sends it:
        the header is removed, so that the server does not send it once more.
        """
        head = bytes(self.data[: self._head_end])
        line = head.lstrip(b"\r\n").partition(b"\r\n")[0]
        found = _EXPECT.search(head) if line.endswith(b"HTTP/1.1") else None
        if found is None:
            return False
        del self.data[found.start() : found.end()]
        self._head_end -= found.end() - found.start()
        return True
