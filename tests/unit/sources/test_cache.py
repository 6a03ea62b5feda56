"""Fetched videos that a node keeps."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from serve_app.errors import SourceDeniedError, SourceRefusedError
from serve_app.schema import SourceFacts
from serve_app.settings import CacheSettings, SourceSettings
from serve_app.sources.cache import VideoCache
from serve_app.sources.fetch import Fetcher
from serve_app.sources.http import Http
from serve_app.sources.web import Web
from tests.unit.sources.files import Served
from tests.unit.sources.servers import BODY, SHORT, Names, serving

NAMED = "http://media.test:{port}/a.mp4"


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Whatever a test does, no kept video is left open."""
    yield
    assert [file.path for file in psutil.Process().open_files() if "/videos/" in file.path] == []


@dataclass
class Node:
    """A node's cache, its clock, and replicas that come and go."""

    folder: Path
    given: dict[str, float] = field(default_factory=dict)
    now_s: float = 1_000_000.0

    async def fetch(
        self, url: str, settings: SourceSettings = SHORT, resolver: Names | None = None
    ) -> tuple[bytes, SourceFacts]:
        """By a replica of its own."""
        wanted = CacheSettings.model_validate({"folder": self.folder, "videos_mib": 8, **self.given})
        web = Web(settings, resolver)
        http = Http(settings, web, VideoCache(wanted, lambda: self.now_s))
        try:
            async with http.fetch(url) as got:
                return got.path.read_bytes(), got.facts
        finally:
            await web.close()

    def files(self, kind: str) -> list[Path]:
        return [path for path in (self.folder / kind).rglob("*") if path.is_file()]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "cache")


async def test_a_video_is_fetched_once_and_asked_for_again(node: Node) -> None:
    """The second replica asks whether it changed, is told no, and has the same bytes of nobody."""
    served = Served(BODY)
    async with serving(served.answer) as base:
        first, then = await node.fetch(f"{base}/a.mp4"), await node.fetch(f"{base}/a.mp4")
    assert served.asked == ["all", "known"]
    assert (first[0], then[0]) == (BODY, BODY)
    assert (first[1].bytes_fetched, then[1].bytes_fetched) == (len(BODY), 0)
    assert first[1].sha256 == then[1].sha256 == hashlib.sha256(BODY).hexdigest()
    assert then[1].etag == '"v1"'


async def test_nothing_is_kept_unless_the_settings_say_so(tmp_path: Path) -> None:
    """By default there is no folder and each fetch is a plain one."""
    served = Served(BODY)
    fetcher = Fetcher(SHORT, cache=CacheSettings(folder=tmp_path / "cache"))
    async with serving(served.answer) as base:
        for _ in range(2):
            async with fetcher.fetch(f"{base}/a.mp4"):
                pass
        await fetcher.close()
    assert served.asked == ["all", "all"]
    assert not (tmp_path / "cache").exists()


async def test_a_new_version_replaces_the_old_one(node: Node) -> None:
    """The server sends it where it has one."""
    served = Served(BODY)
    async with serving(served.answer) as base:
        await node.fetch(f"{base}/a.mp4")
        served.change(BODY[::-1])
        assert (await node.fetch(f"{base}/a.mp4"))[0] == BODY[::-1]
        assert (await node.fetch(f"{base}/a.mp4"))[1].bytes_fetched == 0
    assert served.asked == ["all", "all", "known"]


async def test_the_same_bytes_are_kept_once(node: Node) -> None:
    """Two URLs, two origins, one video."""
    async with serving(Served(BODY).answer) as base:
        await asyncio.gather(*(node.fetch(f"{base}/{name}.mp4") for name in "ab"))
    assert [path.name for path in node.files("videos")] == [hashlib.sha256(BODY).hexdigest()]
    assert len(node.files("origins")) == 2


async def test_what_was_got_with_a_password_is_given_to_nobody_else(node: Node) -> None:
    """Without it, and with another, the server is asked and says no."""
    served = Served(BODY, secret="Basic YW5uOnB3")  # noqa: S106  ann:pw
    node.given = {"videos_fresh_s": 60}
    async with serving(served.answer) as base:
        with_password = base.replace("//", "//ann:pw@")
        assert (await node.fetch(f"{with_password}/a.mp4"))[0] == BODY
        assert (await node.fetch(f"{with_password}/a.mp4"))[1].bytes_fetched == 0
        for other in (base, base.replace("//", "//ann:wrong@")):
            with pytest.raises(SourceDeniedError):
                await node.fetch(f"{other}/a.mp4")


async def test_no_url_stands_on_the_disk(node: Node) -> None:
    """Neither names nor contents of the files tell passwords, signatures or paths."""
    async with serving(Served(BODY).answer) as base:
        await node.fetch(f"{base.replace('//', '//ann:hush@')}/hidden.mp4?X-Amz-Signature=abcdef")
    for path in node.files("origins"):
        text = f"{path} {path.read_text()}"
        assert not any(secret in text for secret in ("ann", "hush", "hidden", "abcdef", "YW5u"))


async def test_only_this_user_reads_the_cache(node: Node) -> None:
    """Other users of the machine see nothing."""
    async with serving(Served(BODY).answer) as base:
        await node.fetch(f"{base}/a.mp4")
    for path in (*node.files("videos"), *node.files("origins")):
        assert path.stat().st_mode & 0o077 == 0


async def test_while_it_is_fresh_the_server_is_not_asked(node: Node) -> None:
    """Up to the setting's seconds; after them once more, and from then on anew."""
    served = Served(BODY)
    node.given = {"videos_fresh_s": 60}
    async with serving(served.answer) as base:
        for later_s in (0, 59, 2, 59, 2):
            node.now_s += later_s
            assert (await node.fetch(f"{base}/a.mp4"))[0] == BODY
    assert served.asked == ["all", "known", "known"]


async def test_a_fresh_video_passes_the_guard_or_is_refused(node: Node) -> None:
    """The host's name leads to a forbidden address by now, or the settings changed: nothing is given."""
    served = Served(BODY)
    node.given = {"videos_fresh_s": 60}
    async with serving(served.answer) as base:
        url = NAMED.format(port=base.rpartition(":")[2])
        names = Names({"media.test": [["127.0.0.1"], ["127.0.0.1"], ["169.254.169.254"]]})
        await node.fetch(url, resolver=names)
        assert (await node.fetch(url, resolver=names))[1].bytes_fetched == 0
        with pytest.raises(SourceRefusedError, match="the host is not allowed"):
            await node.fetch(url, resolver=names)
        stricter = SHORT.model_copy(update={"allow_networks": ()})
        with pytest.raises(SourceRefusedError, match="the host is not allowed"):
            await node.fetch(url, stricter, Names({"media.test": [["127.0.0.1"]]}))
        with pytest.raises(SourceRefusedError, match="scheme 'http' is not allowed"):
            await node.fetch(url, SHORT.model_copy(update={"schemes": ("https",)}))
    assert served.asked == ["all"]


async def test_every_hop_of_a_fresh_video_passes_the_guard(node: Node) -> None:
    """Also the host that the first one redirected to."""
    served = Served(BODY)
    node.given = {"videos_fresh_s": 60}
    async with serving(served.answer) as base:
        port = base.rpartition(":")[2]

        async with serving(_redirecting(NAMED.format(port=port))) as start:
            names = Names({"media.test": [["127.0.0.1"], ["10.0.0.1"]], "127.0.0.1": [["127.0.0.1"]]})
            await node.fetch(f"{start}/x.mp4", resolver=names)
            with pytest.raises(SourceRefusedError, match="the host is not allowed"):
                await node.fetch(f"{start}/x.mp4", resolver=names)


def _redirecting(target: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from aiohttp import web  # noqa: PLC0415

    async def away(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(target)

    return away


@pytest.mark.parametrize(
    "served",
    [
        Served(BODY, headers={"Cache-Control": "no-store"}),
        Served(BODY, headers={"Vary": "*"}),
        Served(BODY, etag=None, modified=None),
    ],
    ids=["no-store", "vary", "no version"],
)
async def test_what_must_not_or_cannot_be_kept_is_not(node: Node, served: Served) -> None:
    """The server forbids it, or names nothing to ask by."""
    async with serving(served.answer) as base:
        for _ in range(2):
            assert (await node.fetch(f"{base}/a.mp4"))[0] == BODY
    assert served.asked == ["all", "all"]
    assert node.files("videos") == []


async def test_a_server_that_wants_to_be_asked_is_asked(node: Node) -> None:
    """``no-cache`` outweighs the freshness of the settings."""
    served = Served(BODY, headers={"Cache-Control": "no-cache"})
    node.given = {"videos_fresh_s": 60}
    async with serving(served.answer) as base:
        for _ in range(2):
            await node.fetch(f"{base}/a.mp4")
    assert served.asked == ["all", "known"]


async def test_a_damaged_video_is_fetched_anew(node: Node) -> None:
    """A flipped byte, a cut, and nonsense in place of an origin are found before anything is decoded."""
    served = Served(BODY)
    async with serving(served.answer) as base:
        await node.fetch(f"{base}/a.mp4")
        for kind, spoilt in (("videos", b"x" * len(BODY)), ("videos", BODY[:-1]), ("origins", b"{}")):
            (path,) = node.files(kind)
            path.write_bytes(spoilt)
            assert (await node.fetch(f"{base}/a.mp4"))[0] == BODY
    assert served.asked == ["all"] * 4


async def test_an_old_video_is_fetched_anew(node: Node) -> None:
    """After its time to live nobody asks whether it changed."""
    served = Served(BODY)
    node.given = {"videos_ttl_s": 100}
    async with serving(served.answer) as base:
        for later_s in (0, 90, 90, 101):
            node.now_s += later_s
            await node.fetch(f"{base}/a.mp4")
    assert served.asked == ["all", "known", "known", "all"]


async def test_more_than_fits_is_not_kept(node: Node) -> None:
    """A video above the bound is fetched each time; of those below it the last ones stay."""
    served = Served(BODY)
    node.given = {"videos_mib": 0.5}
    async with serving(served.answer) as base:
        await node.fetch(f"{base}/a.mp4")
        assert node.files("videos") == []
        for number in range(3):
            served.change(bytes([number]) * 200_000)
            node.now_s += 1
            await node.fetch(f"{base}/{number}.mp4")
    kept = {path.name for path in node.files("videos")}
    assert kept == {hashlib.sha256(bytes([number]) * 200_000).hexdigest() for number in (1, 2)}


async def test_a_folder_that_cannot_be_used_costs_nothing_but_the_cache(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    """Videos are fetched as without it, and the log says why."""
    node.folder.parent.mkdir(exist_ok=True)
    node.folder.write_text("a file in the way")
    async with serving(Served(BODY).answer) as base:
        assert (await node.fetch(f"{base}/a.mp4"))[0] == BODY
    assert "cannot be kept" in caplog.text
