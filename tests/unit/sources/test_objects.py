"""Objects of each store's server, one contract for all, and what is refused before any store is asked."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest
from aiohttp import web

from serve_app.errors import (
    RecordError,
    SettingsError,
    SourceDeniedError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from serve_app.schema import FpsSampling, NumFramesSampling
from serve_app.settings import SourceSettings
from serve_app.sources.fetch import Fetcher
from serve_app.sources.parts import BLOCK
from serve_app.video.decoder import decode_file
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.sandbox import Sandbox
from tests.clips import write_clip
from tests.unit.sources.servers import serving
from tests.unit.sources.stores import STORES

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.sources.fetched import Fetched
    from tests.unit.sources.stores import Store

BODY = hashlib.shake_128(b"object").digest(1_500_000)
S3 = SourceSettings(
    schemes=("s3",), object_roots=("s3://videos", "s3://shared/public/"), max_mib=2, parts_from_mib=1
)


def whole(scheme: str) -> SourceSettings:
    """Settings under which every object is fetched whole."""
    roots = (f"{scheme}://videos", f"{scheme}://shared/public/")
    return S3.model_validate({"schemes": [scheme], "object_roots": roots, "max_mib": 2, "parts_from_mib": 2})


def in_parts(scheme: str) -> SourceSettings:
    """Settings under which large objects are read in parts."""
    return whole(scheme).model_copy(update={"parts_from_mib": 1})


@pytest.fixture(scope="module", params=STORES)
def server(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A server of each kind, one after the other."""
    with STORES[request.param]() as started:
        yield started


@pytest.fixture
def store(server: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A server that the environment names, as an operator would, with one object."""
    for name, value in server.environment(server.base).items():
        monkeypatch.setenv(name, value)
    server.put("videos", "a/b c.mp4", BODY)
    return server


@asynccontextmanager
async def opened(url: str, settings: SourceSettings = S3) -> AsyncIterator[Fetched]:
    """An object, in parts where it may be."""
    fetcher = Fetcher(settings)
    try:
        async with fetcher.fetch(url, parts=True) as got:
            yield got
    finally:
        await fetcher.close()
    assert [file.path for file in psutil.Process().open_files() if "/capstream-" in file.path] == []


async def refusal(url: str, settings: SourceSettings = S3) -> RecordError:
    with pytest.raises(RecordError) as caught:
        async with opened(url, settings):
            pass
    return caught.value


async def test_an_object_is_fetched_whole(store: Store) -> None:
    """Its bytes, hash, size and version."""
    url = f"{store.scheme}://videos/a/b c.mp4"
    async with opened(url, whole(store.scheme)) as got:
        assert got.path.read_bytes() == BODY
        assert got.facts.sha256 == hashlib.sha256(BODY).hexdigest()
        assert got.facts.etag is not None
        assert (got.rest, got.facts.url) == (None, url)


async def test_a_large_object_is_read_in_parts(store: Store) -> None:
    """Only what is asked for, and no hash is claimed."""
    async with opened(f"{store.scheme}://videos/a/b c.mp4", in_parts(store.scheme)) as got:
        assert got.rest is not None
        await got.rest.supply(3 * BLOCK + 1, 5 * BLOCK)
        assert got.path.read_bytes()[3 * BLOCK : 5 * BLOCK] == BODY[3 * BLOCK : 5 * BLOCK]
        assert (got.facts.sha256, got.facts.bytes_fetched) == (None, 2 * BLOCK)


async def test_an_object_that_changes_midway_is_refused(store: Store) -> None:
    """Parts of two versions are never mixed."""
    store.put("videos", "c.mp4", BODY)
    async with opened(f"{store.scheme}://videos/c.mp4", in_parts(store.scheme)) as got:
        assert got.rest is not None
        store.put("videos", "c.mp4", BODY[::-1])
        with pytest.raises(SourceUnavailableError, match="changed while it was read"):
            await got.rest.supply(0, BLOCK)


async def test_a_name_is_taken_as_it_stands(store: Store) -> None:
    """Neither decoded nor cut at what another kind of URL would end at."""
    name = "\u00fc 100%, a+b & c%20d.mp4"
    store.put("videos", name, BODY[:1000])
    async with opened(f"{store.scheme}://videos/{name}", whole(store.scheme)) as got:
        assert got.path.read_bytes() == BODY[:1000]


async def test_frames_of_an_object_are_those_of_the_file(store: Store, tmp_path: Path) -> None:
    """From the bucket through the contained process, in parts and whole."""
    clip = write_clip(tmp_path / "a.mp4", seconds=2, fps=10, width=64, height=48)
    store.put("shared", "public/a.mp4", clip.read_bytes())
    box = Sandbox(children=1, timeout_s=30, max_frames_bytes=1 << 20)
    await box.start()
    for shot in (Shot(NumFramesSampling(num_frames=2)), Shot(FpsSampling(fps=2))):
        for from_mib in (2, 0):
            settings = whole(store.scheme).model_copy(update={"parts_from_mib": from_mib})
            async with opened(f"{store.scheme}://shared/public/a.mp4", settings) as got:
                job = DecodeJob(got.path, shot, got.rest.supply if got.rest else None)
                async with box.decode(job) as decoded:
                    assert (decoded.frames.data == decode_file(DecodeJob(clip, shot)).frames.data).all()
    await box.close()


async def test_what_is_wrong_with_an_object_is_told(store: Store) -> None:
    """Missing, empty and too large ones, and a missing bucket, each in its class."""
    scheme, settings = store.scheme, whole(store.scheme)
    store.put("videos", "empty.mp4", b"")
    store.put("videos", "large.mp4", bytes(2 * 1024 * 1024 + 1))
    assert isinstance(await refusal(f"{scheme}://videos/none.mp4", settings), SourceNotFoundError)
    assert isinstance(await refusal(f"{scheme}://videos/a", settings), SourceNotFoundError)
    assert isinstance(await refusal(f"{scheme}://videos/empty.mp4", settings), SourceEmptyError)
    assert isinstance(await refusal(f"{scheme}://videos/large.mp4", settings), SourceTooLargeError)
    gone = settings.model_copy(update={"object_roots": (f"{scheme}://gone",)})
    assert isinstance(await refusal(f"{scheme}://gone/a.mp4", gone), SourceNotFoundError)


async def test_a_store_that_cannot_be_reached_is_unavailable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the time that a fetch has, and its address is not told."""
    for name, value in store.environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    settings = whole(store.scheme).model_copy(update={"total_timeout_s": 2})
    error = await refusal(f"{store.scheme}://videos/a/b c.mp4", settings)
    assert isinstance(error, SourceUnavailableError)
    assert "127.0.0.1" not in str(error)


async def test_who_may_not_read_is_denied(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's refusal is permanent, and told without its words; S3 has but one."""
    url = f"{store.scheme}://videos/a/b c.mp4"
    for status in (403,) if store.scheme == "s3" else (401, 403):

        async def forbidden(_request: web.Request, status: int = status) -> web.StreamResponse:
            return web.Response(status=status, text="for your eyes only")

        async with serving(forbidden) as base:
            for name, value in store.environment(base).items():
                monkeypatch.setenv(name, value)
            error = await refusal(url, whole(store.scheme))
        assert isinstance(error, SourceDeniedError)
        assert str(error) == f"{url}: the store does not let us have it"


@pytest.mark.parametrize(
    "url",
    [
        "s3://other/a.mp4",
        "s3://videos2/a.mp4",
        "s3://shared/a.mp4",
        "s3://shared/publicity/a.mp4",
        "s3://shared/public/../a.mp4",
        "s3://shared/public/./a.mp4",
        "s3://shared/public//a.mp4",
        "s3://videos",
        "s3://videos/",
        "s3://key:secret@videos/a.mp4",
        "s3://videos/a.mp4?versionId=1",
        "s3://videos/a.mp4#x",
        "s3:videos/a.mp4",
        "s3:///a.mp4",
    ],
)
async def test_objects_elsewhere_are_refused(url: str) -> None:
    """No store is asked: other buckets, neighbours of a root, and what only resolves to one."""
    error = await refusal(url)
    assert isinstance(error, SourceRefusedError)
    assert "secret" not in str(error)


async def test_without_roots_nothing_may_be_read() -> None:
    """A scheme alone opens no bucket."""
    error = await refusal("s3://videos/a.mp4", SourceSettings(schemes=("s3",)))
    assert str(error) == (
        "s3://videos/a.mp4: no object may be read here; allowed: those below sources.object_roots"
    )


async def test_the_schemes_are_off_by_default() -> None:
    """Object stores are asked only where the settings say so."""
    assert isinstance(await refusal("s3://videos/a.mp4", SourceSettings()), SourceRefusedError)


def test_a_missing_package_is_told_with_its_extra() -> None:
    """Before any request, in a sentence that says what to install."""
    if importlib.util.find_spec("gcsfs") is not None:
        pytest.skip("the package is installed here")
    with pytest.raises(SettingsError, match=r"'gs' needs the package gcsfs, .* install capstream\[gs\]"):
        Fetcher(SourceSettings(schemes=("https", "gs")))
