"""Which hosts are this machine. Needs no package, so that a check can ask."""

from ipaddress import IPv4Address, ip_address


def is_this_machine(host: str | None) -> bool:
    """Whether the host is a loopback address or ``localhost``. Looks up no name."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host or "")
    except ValueError:
        return False
    mapped: IPv4Address | None = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
