"""Which hosts and addresses may be asked for a video. A pure decision: nothing is looked up here.

A URL's host is an address or a name. An address must be written in its one usual form, since what
``0177.0.0.1`` means depends on who reads it. A name is judged by every address that it has when it is about
to be connected to, and the judged address is the one that is used (see :mod:`serve_app.sources.connector`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from serve_app.settings import SourceSettings
from serve_app.sources.addresses import METADATA, Address, Network, address_of, embedded_in, kind_of

NAME = re.compile(r"[A-Za-z0-9._-]+")
# As in the URL standard: a host whose last part is a number is meant as an IPv4 address.
NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


class HostRefusedError(Exception):
    """A host or its address is not allowed; the text is for the log of this machine only."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Public addresses are allowed, and what these lists add; ``hosts`` with a leading dot: all below."""

    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: SourceSettings) -> Guard:
        """The guard that the settings ask for."""
        return cls(settings.allow_networks, settings.allow_hosts)

    def check_host(self, host: str) -> None:
        """Refuse a URL's host that is an address which is not allowed, or neither address nor name."""
        try:
            address = literal_of(host)
        except ValueError as error:
            raise HostRefusedError(f"{host!r} is neither a name nor an address in its usual form") from error
        if address is not None:
            self.check_address(host, str(address))

    def check_address(self, host: str, text: str) -> None:
        """Refuse an address of a host, unless the host is on the list."""
        address = address_of(text)
        kind = self._objection(address, named=self._is_listed(host))
        if kind is not None:
            raise HostRefusedError(f"{host}: {address} is not allowed ({kind})")

    def check_connection(self, text: str) -> None:
        """Refuse an address that no host could have led to: the last gate, which knows no name."""
        kind = self._objection(address_of(text), named=bool(self.hosts))
        if kind is not None:
            raise HostRefusedError(f"{text} is not allowed ({kind})")

    def _is_listed(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return any(name == one or (one.startswith(".") and name.endswith(one)) for one in self.hosts)

    def _objection(self, address: Address, *, named: bool) -> str | None:
        for one in (address, *embedded_in(address)):
            kind = kind_of(one)
            if kind is not None and not self._is_allowed(one, named=named):
                return kind
        return None

    def _is_allowed(self, address: Address, *, named: bool) -> bool:
        if address in METADATA:
            # Nobody who allows 169.254.0.0/16 or a host means this; it takes a network of its own.
            return any(net.num_addresses == 1 and address in net for net in self.networks)
        return named or any(address in network for network in self.networks)


def literal_of(host: str) -> Address | None:
    """The address that a URL's host is, ``None`` for a name; ``ValueError`` for what is neither.

    An address has no zone, no leading zeros, no hexadecimal and no missing parts, and no dot at its end.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError(host)
        return IPv6Address(host)
    if NAME.fullmatch(host) is None:
        raise ValueError(host)
    last = host.rstrip(".").rpartition(".")[2]
    return IPv4Address(host) if NUMBER.fullmatch(last) else None
