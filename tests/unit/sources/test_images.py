"""The images of a list: fetched beside each other, each through the guard, into one bounded file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from serve_app.album import empty_table, read_image, read_table
from serve_app.errors import (
    RecordError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from serve_app.settings import CacheSettings
from serve_app.sources.images import AT_ONCE, Images
from tests.albums import data_url
from tests.unit.sources.files import Served
from tests.unit.sources.servers import SHORT, serving, trap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from serve_app.schema import SourceFacts
    from serve_app.settings import SourceSettings

KIB = 1024


async def fetched(
    urls: Sequence[str], wanted: Sequence[int], settings: SourceSettings = SHORT
) -> tuple[list[bytes], SourceFacts]:
    """What lies in the file of a list, nothing for what nobody asked for, and the facts."""
    images = Images(settings)
    try:
        async with images.fetch(urls, wanted, empty_table(list(range(len(urls))), len(urls))) as got:
            opened = os.open(got.path, os.O_RDONLY)
            table = read_table(opened, got.images)
            assert table["pts_seconds"].tolist() == list(range(len(urls) + 1))
            found = [read_image(opened, row) if row["size"] else b"" for row in table[:-1]]
            os.close(opened)
        assert not got.path.exists()
        return found, got.facts
    finally:
        await images.close()


async def refusal(
    urls: Sequence[str], settings: SourceSettings = SHORT, wanted: Sequence[int] | None = None
) -> RecordError:
    """Why a list gives nothing."""
    with pytest.raises(RecordError) as caught:
        await fetched(urls, range(len(urls)) if wanted is None else wanted, settings)
    return caught.value


async def named(request: web.Request) -> web.StreamResponse:
    """Answer with the path, the later the smaller its number is; or as the path says."""
    name = request.path.removeprefix("/")
    if name.isdigit():
        await asyncio.sleep(0.01 * (20 - int(name)))
        return web.Response(body=f"image {name}".encode())
    if name == "inside":
        raise web.HTTPFound(request.query["to"])
    if name == "silent":
        await asyncio.sleep(60)
    return web.Response(status=404)


async def test_only_the_chosen_ones_are_fetched() -> None:
    """Whatever order they come in, each has its place; the hash is of their hashes, in the list's order."""
    async with serving(named) as base:
        urls = [f"{base}/{number}" for number in range(20)]
        found, facts = await fetched(urls, [1, 4, *range(8, 20)])
    wanted = [f"image {n}".encode() if n in {1, 4, *range(8, 20)} else b"" for n in range(20)]
    assert found == wanted
    hashes = "".join(hashlib.sha256(one).hexdigest() for one in wanted if one)
    assert facts.sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    assert facts.bytes == facts.bytes_fetched == sum(map(len, wanted))
    assert (facts.url, facts.images) == (urls[0], 20)


async def test_the_nodes_cache_serves_lists(tmp_path: Path) -> None:
    """An image that is kept is not fetched again, and the bytes are the same."""
    cache = CacheSettings(folder=tmp_path, videos_mib=1, videos_fresh_s=60)
    served, images, found = Served(b"image"), Images(SHORT, cache=cache), []
    async with serving(served.answer) as base:
        for _ in range(2):
            async with images.fetch([f"{base}/a", f"{base}/b"], [0, 1], empty_table([0, 1], 2)) as got:
                found.append(got.facts)
    await images.close()
    first, again = found
    assert (first.bytes_fetched, again.bytes_fetched, len(served.asked)) == (10, 0, 2)
    assert again == first.model_copy(update={"bytes_fetched": 0})


async def test_few_are_fetched_at_once() -> None:
    """A list of many asks for a bounded number of connections."""
    now, most = 0, 0

    async def counting(_: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.Response(body=b"x")

    async with serving(counting) as base:
        await fetched([base] * 40, range(40))
    assert most == AT_ONCE


async def test_one_that_fails_ends_the_others_by_its_own_class() -> None:
    """The message says which it was; the one that says nothing is not waited for."""
    async with serving(named) as base:
        error = await refusal([f"{base}/silent", f"{base}/1", f"{base}/none"])
    assert isinstance(error, SourceNotFoundError)
    assert str(error) == f"image 3 of 3: {base}/none: HTTP 404"


async def test_a_redirect_in_the_middle_is_judged_like_every_other() -> None:
    """Nobody connects to where it leads."""
    async with serving(named) as base:
        with trap() as watched:
            away = f"{base}/inside?to=http://127.0.0.2:{watched.port}/"
            error = await refusal([f"{base}/1", away, f"{base}/2"])
            assert isinstance(error, SourceRefusedError)
            assert str(error).startswith(f"image 2 of 3: http://127.0.0.2:{watched.port}/: the host is not")
            assert not watched.touched


async def test_secrets_of_a_url_are_not_told() -> None:
    """Neither in the facts nor in an error."""
    async with serving(named) as base:
        there = base.replace("//", "//ann:hush@")
        _, facts = await fetched([f"{there}/1?token=hush"], [0])
        error = await refusal([f"{there}/1", f"{there}/none?sig=hush"])
    assert "hush" not in facts.url + str(error)


async def test_all_together_have_the_bytes_of_one_video() -> None:
    """An image has a limit of its own, and the list that of a video."""
    one = data_url(bytes(300 * KIB))
    small = SHORT.model_copy(update={"max_mib": 1.0})
    await fetched([one] * 3, range(3), small)
    error = await refusal([one] * 4, small)
    assert isinstance(error, SourceTooLargeError)
    assert str(error).endswith("of 4: with those before it, more than 1 MiB, the most that is allowed")
    error = await refusal([one], small.model_copy(update={"max_image_mib": 0.25}))
    assert isinstance(error, SourceTooLargeError)
    assert str(error).endswith("more than 0.25 MiB, the most that is allowed")


async def test_an_empty_image_is_no_image() -> None:
    """It is the source's error."""
    assert isinstance(await refusal([data_url(b"x"), "data:,"]), SourceEmptyError)


async def test_all_together_have_the_time_of_one_video() -> None:
    """Images that each come in time may be too many."""

    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        return web.Response(body=b"x")

    short = SHORT.model_copy(update={"total_timeout_s": 0.3})
    async with serving(slow) as base:
        error = await refusal([base] * 100, short)
    assert isinstance(error, SourceUnavailableError)
    assert str(error) == "the images: not complete within 0.3 s"


async def test_who_gives_up_leaves_nothing_behind() -> None:
    """A caller that is cancelled ends all fetches."""
    asked = asyncio.Event()

    async def silent(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response(body=b"x")

    async with serving(silent) as base:
        task = asyncio.create_task(fetched([base] * 20, range(20)))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
