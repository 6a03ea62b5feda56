"""Which hosts and addresses pass, and what the lists add."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from serve_app.sources.connector import socket_for
from serve_app.sources.guard import Guard, HostRefusedError, literal_of

STRICT = Guard()


def guard(networks: str = "", hosts: str = "") -> Guard:
    return Guard(tuple(ip_network(one) for one in networks.split()), tuple(hosts.split()))


def allows(one: Guard, host: str, *addresses: str) -> bool:
    """Whether a host passes that has these addresses, as a URL's host and at each connection."""
    try:
        one.check_host(host)
        for address in addresses:
            one.check_address(host, address)
            one.check_connection(address)
    except HostRefusedError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("example.org", None),
        ("example.org.", None),
        ("a_b.example", None),
        ("xn--bcher-kva.example", None),
        ("1.example", None),
        ("127.0.0.1.example", None),
        ("0x7f.example", None),
        ("8.8.8.8", "8.8.8.8"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:7f00:1", "::ffff:7f00:1"),
    ],
)
def test_names_and_addresses_are_told_apart(host: str, address: str | None) -> None:
    """A number at the end makes an address, anywhere else it is part of a name."""
    assert literal_of(host) == (None if address is None else ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "",
        "0",
        "127.1",
        "127.0.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "0x7f.1",
        "0x7f000001",
        "0x7F.0.0.0X1",
        "0x",
        "127.0.0.1.",
        "127.0.0.1..",
        "127.0.0.256",
        "1.2.3.4.5",
        "example.1",
        "8.8.8.8.",
        "134744072",
        "127%2e0%2e0%2e1",
        "127.0.0.1%00.example",
        " 127.0.0.1",
        "127.0.0.1 ",
        "\uff11\uff12\uff17.0.0.1",
        "::1%lo",
        "::1%25lo",
        "2606:4700::1%eth0",
        "fe80::1%25eth0",
        "::1::",
        "host:80",
        "a,b",
    ],
)
def test_odd_spellings_are_refused(host: str) -> None:
    """Readers of such a host disagree on what it means, so not even those of public addresses pass."""
    with pytest.raises(ValueError, match=r"."):
        literal_of(host) if host else literal_of("%")
    assert not allows(guard("0.0.0.0/0 ::/0", "."), host)


@pytest.mark.parametrize(
    ("networks", "hosts", "host", "addresses", "allowed"),
    [
        ("", "", "a.example", ["8.8.8.8", "2606:4700::1111"], True),
        ("", "", "a.example", [], True),
        ("", "", "8.8.8.8", [], True),
        ("", "", "a.example", ["8.8.8.8", "10.0.0.1"], False),
        ("", "", "a.example", ["10.0.0.1", "8.8.8.8"], False),
        ("", "", "127.0.0.1", [], False),
        ("", "", "::ffff:7f00:1", [], False),
        ("", "", "64:ff9b::808:808", [], True),
        ("", "", "64:ff9b::a00:1", [], False),
        ("", "", "2a00::5efe:a00:1", [], False),
        ("10.0.0.0/8", "", "a.example", ["10.1.2.3"], True),
        ("10.0.0.0/8", "", "10.1.2.3", [], True),
        ("10.0.0.0/8", "", "::ffff:a01:203", [], True),
        ("10.0.0.0/8", "", "64:ff9b::a01:203", [], True),
        ("10.0.0.0/8", "", "2002:a01:203::", [], False),
        ("10.0.0.0/8", "", "a.example", ["11.0.0.1", "192.168.0.1"], False),
        ("2002::/16", "", "2002:a01:203::", [], False),
        ("2002::/16 10.0.0.0/8", "", "2002:a01:203::", [], True),
        ("2002::/16", "", "2002:808:808::", [], True),
        ("fd00::/8", "", "fd00::1", [], True),
        ("169.254.0.0/16", "", "169.254.1.1", [], True),
        ("169.254.0.0/16 0.0.0.0/0", "", "169.254.169.254", [], False),
        ("169.254.169.254/32", "", "169.254.169.254", [], True),
        ("fd00::/8", "", "fd00:ec2::254", [], False),
        ("0.0.0.0/0", "", "64:ff9b::a9fe:a9fe", [], False),
        ("", "media.internal", "media.internal", ["10.0.0.1", "127.0.0.1"], True),
        ("", "media.internal", "MEDIA.internal.", ["10.0.0.1"], True),
        ("", "media.internal", "x.media.internal", ["10.0.0.1"], False),
        ("", "media.internal", "xmedia.internal", ["10.0.0.1"], False),
        ("", "media.internal", "a.example", ["8.8.8.8"], True),
        ("", "media.internal", "media.internal", ["169.254.169.254"], False),
        ("", ".internal", "a.b.internal", ["10.0.0.1"], True),
        ("", ".internal", "internal", ["10.0.0.1"], False),
        ("", ".internal", "internal.example", ["10.0.0.1"], False),
        ("", ".internal", "10.0.0.1", [], False),
    ],
)
def test_the_lists_add_what_they_name(
    *, networks: str, hosts: str, host: str, addresses: list[str], allowed: bool
) -> None:
    """Every address must pass; networks and hosts open what they say, and metadata only by itself."""
    assert allows(guard(networks, hosts), host, *addresses) is allowed


def test_no_socket_is_opened_for_a_refused_address() -> None:
    """The last gate holds also where an address came by a way that nobody thought of."""
    stream, tcp = socket.SOCK_STREAM, socket.IPPROTO_TCP
    for address, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        with pytest.raises(HostRefusedError):
            socket_for(STRICT)((family, stream, tcp, "", (address, 80)))
    with pytest.raises(HostRefusedError):
        socket_for(guard("", ".internal"))((socket.AF_INET, stream, tcp, "", ("169.254.169.254", 80)))
    with socket_for(STRICT)((socket.AF_INET, stream, tcp, "", ("8.8.8.8", 80))) as opened:
        assert opened.family == socket.AF_INET
