"""What each address is, and what may be embedded in it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.sources.addresses import address_of, embedded_in, kind_of

KINDS = {
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],  # noqa: S104  nothing is bound
    "loopback": ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12::1"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.255"],
    "link-local": ["169.254.1.1", "fe80::1", "fe80::1%eth0", "febf::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["192.0.0.1", "240.0.0.1", "255.255.255.255", "2001:1::1", "4000::1", "200::1", "5f00::1"],
    "benchmarking": ["198.18.0.1", "198.19.255.255"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "6to4": ["192.88.99.1", "2002:808:808::1"],
    "Teredo": ["2001::1"],
    "IPv4-compatible": ["::8.8.8.8", "::7f00:1"],
    "IPv4-translated": ["::ffff:0:808:808"],
    "local NAT64": ["64:ff9b:1::808:808"],
    "discard": ["100::1"],
    "site-local": ["fec0::1"],
    "cloud metadata": [
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::a9fe:a9fe%eth0",
        "::ffff:169.254.169.254",
    ],
}
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize(("text", "kind"), [(text, kind) for kind in KINDS for text in KINDS[kind]])
def test_what_is_not_public_is_told_by_its_kind(text: str, kind: str) -> None:
    """Every special range, its first and last addresses, and the form in which IPv6 carries IPv4."""
    assert kind_of(address_of(text)) == kind


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_of_no_kind(text: str) -> None:
    """The neighbours of each range are public, as is NAT64's well-known prefix in itself."""
    assert kind_of(address_of(text)) is None


@given(st.ip_addresses())
def test_python_knows_no_range_that_is_missing_here(address: IPv4Address | IPv6Address) -> None:
    """Whatever the standard library calls private, reserved or the like has a kind, NAT64's prefix aside."""
    one = address_of(str(address))
    if one.is_private or one.is_multicast or one.is_link_local or one.is_unspecified or one.is_loopback:
        assert kind_of(one) is not None


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("64:ff9b::7f00:1", ["127.0.0.1"]),
        ("64:ff9b::169.254.169.254", ["169.254.169.254"]),
        ("2002:a00:1::", ["10.0.0.1"]),
        ("2001:0:a00:1::f5ff:fffd", ["10.0.0.1", "10.0.0.2"]),
        ("::127.0.0.1", ["127.0.0.1"]),
        ("::ffff:0:127.0.0.1", ["127.0.0.1"]),
        ("2a00::5efe:10.0.0.1", ["10.0.0.1"]),
        ("2a00::200:5efe:10.0.0.1", ["10.0.0.1"]),
        ("2606:4700::1111", []),
        ("127.0.0.1", []),
    ],
)
def test_embedded_addresses_are_found(text: str, inside: list[str]) -> None:
    """NAT64, 6to4, Teredo (server and client), ISATAP and the old forms each have theirs at its place."""
    assert embedded_in(address_of(text)) == tuple(ip_address(one) for one in inside)
