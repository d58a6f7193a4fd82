"""How a size is written for a person."""


def size_in_words(size: int | None) -> str:
    """``17 bytes``, ``12.3 kB`` or ``1,234.6 MB``: a thousand of each make the next."""
    if size is None:
        return "unknown size"
    if size < 1000:
        return f"{size} {'byte' if size == 1 else 'bytes'}"
    if size < 999_950:  # which would be 1,000.0 kB
        return f"{size / 1e3:.1f} kB"
    return f"{size / 1e6:,.1f} MB"
