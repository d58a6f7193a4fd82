"""How a client undoes each content coding, by another way than ours."""

import sys
import zlib
from collections.abc import Callable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECODE: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstd.decompress,
    "gzip": lambda content: zlib.decompress(content, wbits=31),
    "": bytes,
}
CUT_OFF = (EOFError, zlib.error, zstd.ZstdError)  # what they raise for half a stream
