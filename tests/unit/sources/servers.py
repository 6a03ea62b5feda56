"""Servers on the loopback address, a socket that nobody may connect to, and names that lead there."""

from __future__ import annotations

import asyncio
import hashlib
import select
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from serve_app.errors import RecordError
from serve_app.settings import SourceSettings
from serve_app.sources.fetch import Fetcher

BODY = bytes(range(256)) * 4096
SHORT = SourceSettings(
    max_mib=2,
    connect_timeout_s=2,
    idle_timeout_s=0.2,
    total_timeout_s=5,
    max_redirects=2,
    allow_networks=(ip_network("127.0.0.1/32"),),
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Give the base URL of a server that answers every request with one function."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(talk: Raw) -> AsyncIterator[str]:
    """Give the base URL of a server that writes its bytes by hand."""

    async def ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(ended, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Trap:
    """A listening socket; the kernel takes connections whether or not anybody accepts them."""

    listener: socket.socket

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def touched(self) -> bool:
        return bool(select.select([self.listener], [], [], 0)[0])


@contextmanager
def trap(host: str = "127.0.0.2") -> Iterator[Trap]:
    """A trap on an address of this machine."""
    with socket.create_server((host, 0)) as listener:
        yield Trap(listener)


@dataclass(slots=True)
class Names(AbstractResolver):
    """Leads a name to its lists of addresses, one after the other; the last one stays."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        left = self.answers[host] if host in self.answers else self.answers["*"]
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in found
        ]

    async def close(self) -> None: ...


async def fetched(
    url: str, settings: SourceSettings = SHORT, resolver: AbstractResolver | None = None
) -> bytes:
    """The bytes that a URL gives, checked against the facts about them."""
    fetcher = Fetcher(settings, resolver)
    try:
        async with fetcher.fetch(url) as got:
            found = got.path.read_bytes()
            assert (got.facts.sha256, got.facts.bytes) == (hashlib.sha256(found).hexdigest(), len(found))
        assert not got.path.exists()
        return found
    finally:
        await fetcher.close()


async def refusal(
    url: str, settings: SourceSettings = SHORT, resolver: AbstractResolver | None = None
) -> RecordError:
    """Why a URL gives nothing."""
    with pytest.raises(RecordError) as caught:
        await fetched(url, settings, resolver)
    return caught.value


async def whole(_request: web.Request) -> web.StreamResponse:
    """Answer with the body."""
    return web.Response(body=BODY)
