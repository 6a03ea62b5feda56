"""What an IP address is: public, or in a range that a stranger's URL has no business in.

The ranges are IANA's special-purpose registries, written out, since those of the standard library differ
between patch releases of Python. Of IPv6 only 2000::/3 is handed out to the public internet, and NAT64's
well-known prefix, behind which an IPv4 address stands that is judged in its turn.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# They give credentials of the machine to whoever asks. The one of Azure lies among public addresses.
METADATA = frozenset(
    ip_address(one)
    for one in (
        "169.254.169.254",  # AWS, Azure, Google, DigitalOcean, OpenStack, Oracle
        "169.254.170.2",  # AWS ECS
        "169.254.170.23",  # AWS EKS
        "169.254.42.42",  # Scaleway
        "169.254.0.23",  # Tencent
        "168.63.129.16",  # Azure
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS
        "fd20:ce::254",  # Google
        "fd00:42::42",  # Scaleway
        "fe80::a9fe:a9fe",  # OpenStack
    )
)
RANGES = tuple(
    (ip_network(text), kind)
    for text, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("100::/64", "discard"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
PUBLIC_IPV6 = ip_network("2000::/3")
NAT64 = ip_network("64:ff9b::/96")
# An IPv4 address in the last four bytes.
AT_THE_END = (NAT64, ip_network("::/96"), ip_network("::ffff:0:0:0/96"))
SIX_TO_FOUR = ip_network("2002::/16")
TEREDO = ip_network("2001::/32")
ISATAP = (0x00005EFE, 0x02005EFE)  # the third quarter of such an address


def address_of(text: str) -> Address:
    """An address as DNS or a socket gives it, without its zone; what is IPv4 in IPv6's dress is IPv4."""
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def kind_of(address: Address) -> str | None:
    """The range that an address lies in, ``None`` for a public one; embedded addresses are not looked at."""
    if address in METADATA:
        return "cloud metadata"
    found = next((kind for network, kind in RANGES if address in network), None)
    public = isinstance(address, IPv4Address) or address in PUBLIC_IPV6 or address in NAT64
    return found or (None if public else "reserved")


def embedded_in(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that a packet to this address may end at, by a tunnel or a translator."""
    if isinstance(address, IPv4Address):
        return ()
    number = int(address)
    last = number & 0xFFFFFFFF
    if address in SIX_TO_FOUR:
        return (IPv4Address(number >> 80 & 0xFFFFFFFF),)
    if address in TEREDO:
        return (IPv4Address(number >> 64 & 0xFFFFFFFF), IPv4Address(last ^ 0xFFFFFFFF))
    if number >> 32 & 0xFFFFFFFF in ISATAP or any(address in network for network in AT_THE_END):
        return (IPv4Address(last),)
    return ()
