"""The corpus of images: in the middle of a list of good ones, behind the same walls as files and URLs."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from serve_app.album import empty_table
from serve_app.errors import RecordError
from serve_app.schema import FpsSampling
from serve_app.sources.images import Images
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.albums import album_of, data_url, packed, shade
from tests.hostile import pages, stills, urls
from tests.hostile.case import UNREADABLE, Case, named
from tests.hostile.outcome import failed, job_of, outcome_of
from tests.hostile.pages import OFF
from tests.hostile.pretenders import TEXTS
from tests.hostile.test_reach import text_of
from tests.hostile.test_urls import settings, settled
from tests.unit.sources.servers import Names, speaking

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hostile.outcome import Outcome
    from tests.hostile.seeds import Seeds
    from tests.hostile.walls import Walls

pytestmark = pytest.mark.asyncio(loop_scope="module")
GOOD = packed(shade(9))
SHOT = Shot(FpsSampling(fps=1), size=FixedSize(64, 48))
FAR = {name: target for name, (target, end) in pages.REDIRECTS.items() if end == OFF}


async def listed(walls: Walls, image: bytes) -> Outcome:
    """What came of a list with this image in its middle, held against its neighbour."""
    job = replace(job_of(album_of([GOOD, image, GOOD]), walls.folder, SHOT), images=3)
    try:
        return await walls.beside(outcome_of(walls.box, job))
    finally:
        job.path.unlink()


@pytest.mark.parametrize("case", named(stills.CASES), ids=lambda case: case.name)
async def test_a_hostile_image_ends_in_its_class(case: Case, walls: Walls, seeds: Seeds) -> None:
    """In its time, in a sentence that names the image; the neighbours and the next decode as ever."""
    outcome = await listed(walls, case.make(seeds))
    assert outcome.kind in case.ends, outcome
    assert case.saying in outcome.message


@pytest.mark.parametrize("target", ["path", "passwd", "http"])
@pytest.mark.parametrize("name", TEXTS)
async def test_an_image_that_names_others_reaches_nothing(name: str, target: str, walls: Walls) -> None:
    """SVG, playlists and the like are no images."""
    outcome = await listed(walls, text_of(name, target, walls).encode())
    assert outcome.kind == UNREADABLE, outcome


async def through(walls: Walls, url: str, folder: Path) -> Outcome:
    """What came of a list with this URL in its middle, by the same steps as in the decoder's replica."""
    names = Names({"*": [["127.0.0.2"]], **deepcopy(pages.INSIDE)})
    images, good = Images(settings(folder), names), data_url(GOOD)
    try:
        async with images.fetch([good, url, good], range(3), empty_table([0, 1, 2], 3)) as got:
            return await outcome_of(walls.box, DecodeJob(got.path, SHOT, images=got.images))
    except RecordError as error:
        return replace(failed(error), faults=())
    finally:
        await images.close()


@pytest.mark.parametrize("name", FAR)
async def test_a_redirect_of_one_image_is_refused(
    name: str, walls: Walls, seeds: Seeds, folder: Path
) -> None:
    """Whatever the images around it are, nobody connects to where it leads."""
    async with speaking(pages.sends_to(FAR[name])(seeds, walls.trap.port)) as base:
        outcome = await walls.beside(through(walls, f"{base}/a.jpg", folder))
    assert outcome.kind == OFF, outcome
    assert outcome.message.startswith("image 2 of 3: ")


@pytest.mark.parametrize("link", [*urls.FILES, *urls.HOSTS, *urls.NO_URLS], ids=lambda link: link.name)
async def test_a_hostile_url_of_one_image_ends_in_its_class(
    link: urls.Link, walls: Walls, seeds: Seeds, folder: Path
) -> None:
    """Files, hosts and what is no URL, as for a video."""
    url = link.url(seeds).replace("{port}", str(walls.trap.port)).replace("{folder}", str(folder))
    settled(await walls.beside(through(walls, url, folder)), walls, link.ends, url)
