"""What strangers' URLs and servers try, with sockets watched that nobody may connect to."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest
from aiohttp import web

from serve_app.errors import SourceRefusedError, SourceUnavailableError
from serve_app.settings import SourceSettings
from tests.unit.sources.servers import BODY, SHORT, Names, fetched, refusal, serving, trap, whole

STRICT = SHORT.model_copy(update={"allow_networks": ()})
TOLD = (
    "the host is not allowed: not a public address, nor one of sources.allow_networks or sources.allow_hosts"
)


def port_of(base: str) -> str:
    return base.rpartition(":")[2]


async def test_the_watched_socket_sees_a_connection() -> None:
    """Where its network is allowed, it is connected to: that it stays untouched elsewhere means something."""
    settings = SourceSettings(allow_networks=(ip_network("127.0.0.2/32"),), idle_timeout_s=0.1)
    with trap() as watched:
        error = await refusal(f"http://127.0.0.2:{watched.port}/a.mp4", settings)
        assert isinstance(error, SourceUnavailableError)
        assert watched.touched


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "\uff11\uff12\uff17.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "127%2e0%2e0%2e1",
        "127.0.0.1%00.example",
        "127.0.0.1 ",
        "0",
        "0.0.0.0",  # noqa: S104  a URL's host
        "[::]",
        "[::1]",
        "[::1%25lo]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1%25lo]",
        "localhost",
        "LOCALHOST.",
        "ⓛocalhost",
        "public.example",
        "public.example@127.0.0.1",
        "public.example:80@127.0.0.1",
        "public.example\\@127.0.0.1",
        "127.0.0.1\\@public.example",
    ],
)
async def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    """Whatever stands in the URL, and whatever a name leads to, is refused for good, unconnected."""
    names = Names({"*": [["127.0.0.1"]]})
    with trap("127.0.0.1") as watched:
        error = await refusal(f"http://{host}:{watched.port}/a.mp4", STRICT, names)
        assert isinstance(error, SourceRefusedError)
        assert not watched.touched


@pytest.mark.parametrize("answer", ["127.0.0.1", "10.20.30.40", "::ffff:10.20.30.40", "fd00:ec2::254"])
async def test_a_refusal_names_the_host_and_not_its_address(answer: str) -> None:
    """What our network looks like from within is not for the topic."""
    error = await refusal("http://ann:pw@media.test/a.mp4?token=abc", STRICT, Names({"*": [[answer]]}))
    assert str(error) == f"http://***@media.test/a.mp4?token=***: {TOLD}"
    assert (error.__cause__, error.__suppress_context__) == (None, True)


async def test_one_refused_address_among_many_refuses_the_host() -> None:
    """None of them is connected to, in whatever order they come."""
    for answer in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]):
        with trap("127.0.0.1") as first, trap("127.0.0.2") as second:
            names = Names({"*": [answer]})
            for watched in (first, second):
                error = await refusal(f"http://media.test:{watched.port}/a.mp4", SHORT, names)
                assert isinstance(error, SourceRefusedError)
            assert (first.touched, second.touched) == (False, False)


async def test_the_name_is_kept_for_the_server() -> None:
    """The request has the name as its host, although the connection goes to a checked address."""
    hosts: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        hosts.append(request.headers["Host"])
        return await whole(request)

    async with serving(answer) as base:
        url = f"http://Media.test:{port_of(base)}/a.mp4"
        assert await fetched(url, SHORT, Names({"media.test": [["127.0.0.1"]]})) == BODY
        assert hosts == [f"media.test:{port_of(base)}"]


async def test_the_name_is_kept_for_tls() -> None:
    """The handshake asks for the name's certificate, not for that of the address."""
    hello = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.set_result(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        names = Names({"media.test": [["127.0.0.1"]]})
        error = await refusal(f"https://media.test:{port}/a.mp4", SHORT, names)
        assert b"media.test" in await hello
    assert isinstance(error, SourceUnavailableError)
    assert "127.0.0.1" not in str(error)


async def test_a_name_that_changes_its_address_is_caught() -> None:
    """It is looked up once for each connection, and what was looked up is what is connected to."""

    async def again(request: web.Request) -> web.StreamResponse:
        response = web.Response(status=302, headers={"Location": "/b.mp4"})
        response.force_close()
        return response if request.path == "/a.mp4" else await whole(request)

    async with serving(again) as base:
        port = int(port_of(base))
        names = Names({"media.test": [["127.0.0.1"], ["127.0.0.2"]]})
        with trap() as watched:
            url = f"http://media.test:{watched.port}/a.mp4"
            assert isinstance(await refusal(url, SHORT, names), SourceUnavailableError)
            assert names.asked == ["media.test"]
            assert isinstance(await refusal(url, SHORT, names), SourceRefusedError)
            assert not watched.touched
        once = Names({"media.test": [["127.0.0.1"], ["127.0.0.2"]]})
        assert await fetched(f"http://media.test:{port}/b.mp4", SHORT, once) == BODY
        assert once.asked == ["media.test"]
        twice = Names({"media.test": [["127.0.0.1"], ["127.0.0.2"]]})
        error = await refusal(f"http://media.test:{port}/a.mp4", SHORT, twice)
        assert str(error) == f"http://media.test:{port}/b.mp4: {TOLD}"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "HTTP://0x7f.2:{port}/",
        "http://[::ffff:127.0.0.2]:{port}/",
        "http://inside.test:{port}/",
        "http://ann:pw@inside.test:{port}/",
        "https://inside.test:{port}/",
        "http://127.0.0.1@127.0.0.2:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "file:///etc/hostname",
        "FILE:/etc/hostname",
        "data:,abc",
        "gopher://127.0.0.2:{port}/",
    ],
)
async def test_redirects_are_judged_like_the_first_url(target: str) -> None:
    """An allowed server cannot send us to a forbidden one, nor to another kind of source."""
    names = Names({"inside.test": [["127.0.0.2"]]})
    with trap() as watched:

        async def away(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": target.format(port=watched.port)})

        settings = SHORT.model_copy(update={"schemes": ("http", "https", "file", "data")})
        async with serving(away) as base:
            error = await refusal(f"{base}/a.mp4", settings, names)
        assert isinstance(error, SourceRefusedError)
        assert "pw" not in str(error)
        assert not watched.touched


async def test_nothing_of_one_host_goes_to_another() -> None:
    """Cookies are never sent back, and a redirect brings no user and password to a new host."""
    seen: list[tuple[str | None, str | None, str | None]] = []

    def note(request: web.Request) -> None:
        seen.append(tuple(request.headers.get(name) for name in ("Authorization", "Cookie", "Referer")))  # type: ignore[arg-type]

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        note(request)
        return web.Response(body=b"video")

    async with serving(elsewhere) as other:

        async def first(request: web.Request) -> web.StreamResponse:
            note(request)
            target = "/b" if request.path == "/a" else f"{other.replace('//', '//eve:pw@')}/c"
            return web.Response(status=302, headers={"Location": target, "Set-Cookie": "session=1; Path=/"})

        async with serving(first) as base:
            assert await fetched(f"{base}/a") == b"video"
    assert seen == [(None, None, None)] * 3


async def test_hosts_on_the_list_are_asked_wherever_they_are() -> None:
    """The list opens the name, and not its address under another name."""
    settings = STRICT.model_copy(update={"allow_hosts": ("media.test",)})
    names = Names({"*": [["127.0.0.1"]]})
    async with serving(whole) as base:
        assert await fetched(f"http://media.test:{port_of(base)}/a.mp4", settings, names) == BODY
        for host in ("other.test", "127.0.0.1"):
            error = await refusal(f"http://{host}:{port_of(base)}/a.mp4", settings, names)
            assert isinstance(error, SourceRefusedError)


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would decide by itself where a name leads."""
    with trap() as watched:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.2:{watched.port}")
        async with serving(whole) as base:
            assert await fetched(f"{base}/a.mp4") == BODY
        assert not watched.touched
