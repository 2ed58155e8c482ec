"""Addresses of one server or of several replicas, as gRPC takes them."""

import pytest

from mesh.wire.targets import channel_target


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        ("mesh.example:7400", "mesh.example:7400"),
        ("dns:///mesh.example:7400", "dns:///mesh.example:7400"),
        ("10.0.0.1:1, 10.0.0.2:2", "ipv4:10.0.0.1:1,10.0.0.2:2"),
        ("[::1]:1,[2001:db8::1]:2", "ipv6:[::1]:1,[2001:db8::1]:2"),
    ],
)
def test_several_addresses_make_one_target(addresses: str, target: str) -> None:
    assert channel_target(addresses) == target


@pytest.mark.parametrize(
    "addresses", ["a:1,b:2", "10.0.0.1:1,[::1]:2", "10.0.0.1,10.0.0.2", "10.0.0.1:1,10.0.0.2:70000"]
)
def test_what_grpc_could_not_resolve_is_told(addresses: str) -> None:
    with pytest.raises(ValueError, match=r"address"):
        channel_target(addresses)
