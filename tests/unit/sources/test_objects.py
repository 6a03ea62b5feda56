"""Objects of a real S3 server in this process, and what is refused before any store is asked."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]  # there are no types for it
import psutil
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer

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

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.sources.fetched import Fetched

BODY = hashlib.shake_128(b"object").digest(1_500_000)
SETTINGS = SourceSettings(
    schemes=("s3",), object_roots=("s3://videos", "s3://shared/public/"), max_mib=2, parts_from_mib=1
)
WHOLE = SETTINGS.model_copy(update={"parts_from_mib": 2})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def store(port: int, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401  boto3 makes its clients' types up
    """A client of the server that the environment names, as an operator would."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    for bucket in ("videos", "shared"):
        client.create_bucket(Bucket=bucket)
    client.put_object(Bucket="videos", Key="a/b c.mp4", Body=BODY)
    yield client
    client.close()


@asynccontextmanager
async def opened(url: str, settings: SourceSettings = WHOLE) -> AsyncIterator[Fetched]:
    """An object, in parts where it may be."""
    fetcher = Fetcher(settings)
    try:
        async with fetcher.fetch(url, parts=True) as got:
            yield got
    finally:
        await fetcher.close()
    assert [file.path for file in psutil.Process().open_files() if "/capstream-" in file.path] == []


async def refusal(url: str, settings: SourceSettings = WHOLE) -> RecordError:
    with pytest.raises(RecordError) as caught:
        async with opened(url, settings):
            pass
    return caught.value


@pytest.mark.usefixtures("store")
async def test_an_object_is_fetched_whole() -> None:
    """Its bytes, hash, size and tag."""
    async with opened("s3://videos/a/b c.mp4") as got:
        assert got.path.read_bytes() == BODY
        assert got.facts.sha256 == hashlib.sha256(BODY).hexdigest()
        # S3's own tag of what was sent in one piece.
        assert got.facts.etag == f'"{hashlib.md5(BODY).hexdigest()}"'  # noqa: S324
        assert (got.rest, got.facts.url) == (None, "s3://videos/a/b c.mp4")


@pytest.mark.usefixtures("store")
async def test_a_large_object_is_read_in_parts() -> None:
    """Only what is asked for, and no hash is claimed."""
    async with opened("s3://videos/a/b c.mp4", SETTINGS) as got:
        assert got.rest is not None
        await got.rest.supply(3 * BLOCK + 1, 5 * BLOCK)
        assert got.path.read_bytes()[3 * BLOCK : 5 * BLOCK] == BODY[3 * BLOCK : 5 * BLOCK]
        assert (got.facts.sha256, got.facts.bytes_fetched) == (None, 2 * BLOCK)


async def test_an_object_that_changes_midway_is_refused(store: Any) -> None:  # noqa: ANN401  as above
    """Parts of two versions are never mixed."""
    store.put_object(Bucket="videos", Key="c.mp4", Body=BODY)
    async with opened("s3://videos/c.mp4", SETTINGS) as got:
        assert got.rest is not None
        store.put_object(Bucket="videos", Key="c.mp4", Body=BODY[::-1])
        with pytest.raises(SourceUnavailableError, match="changed while it was read"):
            await got.rest.supply(0, BLOCK)


async def test_frames_of_an_object_are_those_of_the_file(store: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """From the bucket through the contained process, in parts and whole."""
    clip = write_clip(tmp_path / "a.mp4", seconds=2, fps=10, width=64, height=48)
    store.upload_file(str(clip), "shared", "public/a.mp4")
    box = Sandbox(children=1, timeout_s=30, max_frames_bytes=1 << 20)
    await box.start()
    for shot in (Shot(NumFramesSampling(num_frames=2)), Shot(FpsSampling(fps=2))):
        for settings in (WHOLE, WHOLE.model_copy(update={"parts_from_mib": 0})):
            async with opened("s3://shared/public/a.mp4", settings) as got:
                job = DecodeJob(got.path, shot, got.rest.supply if got.rest else None)
                async with box.decode(job) as decoded:
                    assert (decoded.frames.data == decode_file(DecodeJob(clip, shot)).frames.data).all()
    await box.close()


async def test_what_is_wrong_with_an_object_is_told(store: Any) -> None:  # noqa: ANN401  as above
    """Missing, empty and too large ones, and a missing bucket, each in its class."""
    store.put_object(Bucket="videos", Key="empty.mp4", Body=b"")
    store.put_object(Bucket="videos", Key="large.mp4", Body=bytes(2 * 1024 * 1024 + 1))
    assert isinstance(await refusal("s3://videos/none.mp4"), SourceNotFoundError)
    assert isinstance(await refusal("s3://videos/a"), SourceNotFoundError)
    assert isinstance(await refusal("s3://videos/empty.mp4"), SourceEmptyError)
    assert isinstance(await refusal("s3://videos/large.mp4"), SourceTooLargeError)
    gone = WHOLE.model_copy(update={"object_roots": ("s3://gone",)})
    assert isinstance(await refusal("s3://gone/a.mp4", gone), SourceNotFoundError)


async def test_a_store_that_cannot_be_reached_is_unavailable(
    store: Any,  # noqa: ANN401  as above
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its address is not told."""
    assert store is not None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    error = await refusal("s3://videos/a/b c.mp4")
    assert isinstance(error, SourceUnavailableError)
    assert "127.0.0.1" not in str(error)


@pytest.mark.usefixtures("store")
async def test_who_may_not_read_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's refusal is permanent, and told without its words."""

    async def forbidden(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=403)

    async with serving(forbidden) as base:
        monkeypatch.setenv("AWS_ENDPOINT_URL", base)
        error = await refusal("s3://videos/a/b c.mp4")
    assert isinstance(error, SourceDeniedError)
    assert str(error) == "s3://videos/a/b c.mp4: the store does not let us have it"


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
