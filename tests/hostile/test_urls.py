"""The corpus of URLs and servers, through the fetcher and its guard, then the sandbox.

A fetch has three seconds, half a second between two pieces, a MiB and two redirects.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from copy import deepcopy
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from serve_app.errors import RecordError
from serve_app.settings import SourceSettings
from serve_app.sources.fetch import Fetcher
from serve_app.sources.redaction import SHOWN_CHARS, redact_url
from serve_app.video.job import DecodeJob
from tests.hostile import pages, pretenders, ranges, urls
from tests.hostile.case import UNREADABLE
from tests.hostile.outcome import MAX_MESSAGE, failed, outcome_of, spoken_badly
from tests.hostile.walls import SMALL
from tests.unit.sources.servers import Names, speaking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.outcome import Outcome
    from tests.hostile.pages import Page
    from tests.hostile.seeds import Seeds
    from tests.hostile.urls import Link
    from tests.hostile.walls import Walls

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOTAL_S = 3.0
GRACE_S = 60.0  # the machine may be busy with something else
MAX_TARGET = 8200  # a redirect's own URL


def settings(folder: Path) -> SourceSettings:
    """One address and one folder are allowed."""
    return SourceSettings(
        max_mib=1,
        connect_timeout_s=2,
        idle_timeout_s=0.5,
        total_timeout_s=TOTAL_S,
        max_redirects=2,
        parts_from_mib=0,
        allow_networks=(ip_network("127.0.0.1/32"),),
        file_roots=(folder,),
    )


async def fetched(walls: Walls, url: str, folder: Path) -> Outcome:
    """What came of a URL, by the same steps as in the decoder's replica."""
    fetcher = Fetcher(settings(folder), Names({"*": [["127.0.0.2"]], **deepcopy(pages.INSIDE)}))
    try:
        async with asyncio.timeout(TOTAL_S + GRACE_S), fetcher.fetch(url, parts=True) as got:
            supply = None if got.rest is None else got.rest.supply
            return await outcome_of(walls.box, DecodeJob(got.path, SMALL, supply))
    except RecordError as error:
        return replace(failed(error), faults=())
    finally:
        await fetcher.close()


def settled(outcome: Outcome, walls: Walls, ends: tuple[str, ...], url: str) -> None:
    """The case ended in its class; beside the URL as it may be shown nothing local is told."""
    assert outcome.kind in ends, outcome
    told = outcome.message.replace(redact_url(url), "URL")
    assert not spoken_badly(told, MAX_MESSAGE + MAX_TARGET), outcome
    assert len(outcome.message) <= MAX_MESSAGE + SHOWN_CHARS
    assert outcome.message.isprintable()
    assert not walls.trap.touched


@pytest.mark.parametrize("page", [*pages.CASES, *ranges.CASES], ids=lambda page: page.name)
async def test_a_hostile_server_ends_in_its_class(
    page: Page, walls: Walls, seeds: Seeds, folder: Path
) -> None:
    """Within the fetch's time, and nobody else is connected to."""
    async with speaking(page.said(seeds, walls.trap.port)) as base:
        port = base.rpartition(":")[2]
        named, tls = f"http://rebind.test:{port}", base.replace("http", "https")
        url = page.url.format(base=base, named=named, tls=tls, port=walls.trap.port)
        settled(await walls.beside(fetched(walls, url, folder)), walls, page.ends, url)


@pytest.mark.parametrize("link", urls.CASES, ids=lambda link: link.name)
async def test_a_hostile_url_ends_in_its_class(link: Link, walls: Walls, seeds: Seeds, folder: Path) -> None:
    """It names no host and no file that is not allowed, and the message stays short."""
    url = link.url(seeds).replace("{port}", str(walls.trap.port)).replace("{folder}", str(folder))
    settled(await walls.beside(fetched(walls, url, folder)), walls, link.ends, url)


@pytest.mark.parametrize("target", ["path", "http", "tcp"])
@pytest.mark.parametrize("name", pretenders.TEXTS)
async def test_a_playlist_of_a_server_is_no_video(
    name: str, target: str, walls: Walls, seeds: Seeds, folder: Path
) -> None:
    """What it names is not asked, neither by the fetcher nor by FFmpeg."""
    text = pretenders.reference(name, target).replace("{clip}", str(walls.clip))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n"
    body = text.replace("{port}", str(walls.trap.port)).encode()
    async with speaking(pages.says(head, body)(seeds, walls.trap.port)) as base:
        url = f"{base}/a.m3u8"
        settled(await walls.beside(fetched(walls, url, folder)), walls, (UNREADABLE,), url)


@pytest.mark.parametrize("body", ["%", "%4", "ab "], ids=["percents", "halves", "blanks"])
@pytest.mark.parametrize("head", ["data:,", "data:;base64,"])
async def test_a_data_uri_takes_no_more_than_its_size(head: str, body: str, folder: Path) -> None:
    """However it is written: one of millions of percent signs once took 200 times as much."""
    size = 1 << 20
    fetcher = Fetcher(settings(folder))
    tracemalloc.start()
    try:
        async with fetcher.fetch(head + body * (size // len(body))):
            pass
    except RecordError:
        pass  # what it comes to is said elsewhere
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        await fetcher.close()
    assert most < 16 * size
