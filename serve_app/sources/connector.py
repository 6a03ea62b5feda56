"""Connections to addresses that the guard has seen, and to no others.

aiohttp resolves a host's name by the resolver here, once for each connection, and connects to the addresses
that it gives: there is no second look-up whose answer could differ. The request and TLS keep the name.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from serve_app.sources.guard import Guard


class GuardedResolver(AbstractResolver):
    """Gives what another resolver gives, if every address of it is allowed."""

    def __init__(self, guard: Guard, resolver: AbstractResolver) -> None:
        self._guard = guard
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look the host up; ``HostRefusedError`` if any of its addresses is refused."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            self._guard.check_address(host, one["host"])
        return found

    async def close(self) -> None:
        """Close the other resolver."""
        await self._resolver.close()


def guarded_connector(guard: Guard, resolver: AbstractResolver | None = None) -> TCPConnector:
    """A connector for allowed addresses; the system's resolver, unless another is given."""
    return TCPConnector(
        limit=0,
        resolver=GuardedResolver(guard, resolver or ThreadedResolver()),
        # Each connection asks anew, and what was refused is not remembered.
        use_dns_cache=False,
        socket_factory=socket_for(guard),
    )


def socket_for(guard: Guard) -> Callable[[AddrInfoType], socket.socket]:
    """What opens sockets, only for allowed addresses: the last gate, whatever way an address came."""

    def opened(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = info
        guard.check_connection(str(place[0]))
        return socket.socket(family, kind, protocol)

    return opened
