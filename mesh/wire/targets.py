"""Where a server is: one address, or those of several replicas, of which any may answer."""

import ipaddress


def channel_target(addresses: str) -> str:
    """What gRPC calls `HOST:PORT`, or several `IP:PORT` joined by commas, tried in this order.

    Raises ValueError.
    """
    parts = [part.strip() for part in addresses.split(",")]
    if len(parts) == 1:
        return parts[0]
    versions = {_version(part) for part in parts}
    if len(versions) != 1:
        raise ValueError("several addresses are all of IPv4, or all of IPv6")
    return f"ipv{versions.pop()}:{','.join(parts)}"


def _version(address: str) -> int:
    host, _, port = address.rpartition(":")
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        found = None
    if found is None or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(
            f"{address!r} is not IP:PORT, as each of several addresses must be;"
            " replicas behind names are given as one name that has all their addresses"
        )
    return found.version
