"""Files and data URIs as sources."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from serve_app.errors import (
    RecordError,
    SourceEmptyError,
    SourceNotFoundError,
    SourceRefusedError,
    SourceTooLargeError,
    SourceUnavailableError,
)
from serve_app.settings import SourceSettings
from serve_app.sources.fetch import Fetcher

MIB = 1024 * 1024
ANYWHERE = SourceSettings(file_roots=(Path("/"),))


async def fetched(url: str, settings: SourceSettings | None = None) -> bytes:
    """The bytes that a URL gives, checked against the facts about them."""
    async with Fetcher(settings or ANYWHERE).fetch(url) as got:
        found = got.path.read_bytes()
        assert (got.facts.sha256, got.facts.bytes) == (hashlib.sha256(found).hexdigest(), len(found))
    return found


async def refusal(url: str, settings: SourceSettings | None = None) -> RecordError:
    with pytest.raises(RecordError) as caught:
        await fetched(url, settings)
    return caught.value


@pytest.mark.parametrize(
    "name",
    [b"a.mp4", b"with space.mp4", "für.mp4".encode(), b"100%.mp4", b"a#b?c.mp4", b"%41.mp4", b"\xff.mp4"],
)
async def test_a_file_is_used_where_it_lies(tmp_path: Path, name: bytes) -> None:
    """The file itself is handed out, whatever its name, and is still there afterwards."""
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"video")
    async with Fetcher(ANYWHERE).fetch(path.as_uri()) as got:
        assert got.path.samefile(path)
        assert got.facts.bytes == 5
    assert path.read_bytes() == b"video"


async def test_localhost_is_this_machine(tmp_path: Path) -> None:
    """RFC 8089 allows the name localhost; another host is refused."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"video")
    assert await fetched(f"file://LocalHost{path}") == b"video"
    error = await refusal(f"file://elsewhere{path}")
    assert isinstance(error, SourceRefusedError)
    assert "'elsewhere'" in str(error)


async def test_bytes_of_the_caller_need_no_url() -> None:
    """They are bounded and hashed like any others."""
    fetcher = Fetcher(ANYWHERE.model_copy(update={"max_mib": 1}))
    async with fetcher.take(b"video") as got:
        assert got.path.read_bytes() == b"video"
        assert got.facts.sha256 == hashlib.sha256(b"video").hexdigest()
        assert (got.facts.bytes, got.facts.url) == (5, "5 bytes")
    for data, kind in ((b"", SourceEmptyError), (bytes(2**20 + 1), SourceTooLargeError)):
        with pytest.raises(kind):
            async with fetcher.take(data):
                pass


async def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A folder, a FIFO without a writer and a device are refused at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path, fifo, Path("/dev/zero")):
        error = await refusal(path.as_uri())
        assert isinstance(error, SourceRefusedError)
        assert str(error) == f"{path.as_uri()}: not a regular file"


async def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    """The message names the file and nothing else of this machine."""
    url = (tmp_path / "none.mp4").as_uri()
    error = await refusal(url)
    assert (type(error), str(error)) == (SourceNotFoundError, f"{url}: No such file or directory")


@pytest.mark.parametrize("url", ["file:a.mp4", "file://[bad", "file:///a%00b", "file:///\ud800"])
async def test_a_file_url_that_is_none_is_refused(url: str) -> None:
    """Relative paths, broken hosts and impossible characters are the request's fault."""
    assert isinstance(await refusal(url), SourceRefusedError)


async def test_without_roots_no_file_may_be_read(tmp_path: Path) -> None:
    """That is the default, and it is told alike whether there is such a file or not."""
    (tmp_path / "a.mp4").write_bytes(b"video")
    told = "no file may be read here; allowed: those below sources.file_roots"
    for path in (tmp_path / "a.mp4", tmp_path / "none.mp4", Path("/etc/passwd"), Path("/dev/zero"), tmp_path):
        error = await refusal(path.as_uri(), SourceSettings())
        assert (type(error), str(error)) == (SourceRefusedError, f"{path.as_uri()}: {told}")


@pytest.mark.parametrize(
    "name",
    ["../secret.mp4", "%2e%2e/secret.mp4", "link.mp4", "up/secret.mp4", "../rootless/a.mp4"],
)
async def test_only_files_below_the_roots_are_read(tmp_path: Path, name: str) -> None:
    """Dots, encoded or not, links to files and folders, and a folder of a like name lead nowhere."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "rootless").mkdir()
    for path in (root / "a.mp4", tmp_path / "secret.mp4", tmp_path / "rootless" / "a.mp4"):
        path.write_bytes(b"video")
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "up").symlink_to(tmp_path)
    settings = SourceSettings(file_roots=(tmp_path / "none", root))
    assert await fetched((root / "a.mp4").as_uri(), settings) == b"video"
    assert isinstance(await refusal(f"{root.as_uri()}/{name}", settings), SourceRefusedError)


async def test_roots_may_be_links_and_links_may_stay_within(tmp_path: Path) -> None:
    """What counts is where a file lies, by the names that the file system itself gives."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.mp4").write_bytes(b"video")
    (tmp_path / "real" / "b.mp4").symlink_to("a.mp4")
    (tmp_path / "root").symlink_to("real")
    settings = SourceSettings(file_roots=(tmp_path / "root",))
    for path in (tmp_path / "root" / "a.mp4", tmp_path / "root" / "b.mp4", tmp_path / "real" / "a.mp4"):
        assert await fetched(path.as_uri(), settings) == b"video"


async def test_a_file_that_is_replaced_is_still_the_one_that_was_checked(tmp_path: Path) -> None:
    """A link that takes its name during the fetch is not followed."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"video")
    async with Fetcher(ANYWHERE).fetch(path.as_uri()) as got:
        path.unlink()
        path.symlink_to("/etc/passwd")
        assert got.path.read_bytes() == b"video"


async def test_a_cancelled_fetch_lets_the_file_go(tmp_path: Path) -> None:
    """The thread that reads it cannot be stopped, and its descriptor is closed when it ends."""
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(32 * MIB))
    task = asyncio.create_task(fetched(path.as_uri()))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.get_running_loop().shutdown_default_executor()
    await turns()
    assert str(path) not in {file.path for file in psutil.Process().open_files()}


async def turns() -> None:
    """Let all that is ready run, and what that makes ready."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    """Its size decides, and the message says both sizes."""
    path = tmp_path / "a.mp4"
    path.touch()
    os.truncate(path, 3 * MIB)
    error = await refusal(path.as_uri(), SourceSettings(max_mib=2, file_roots=(tmp_path,)))
    assert isinstance(error, SourceTooLargeError)
    assert "3.0 MiB, allowed are 2 MiB" in str(error)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("data:,a%20b", b"a b"),
        ("data:video/mp4;base64,aGk=", b"hi"),
        ("DATA:video/mp4;charset=x;BASE64,aGk=", b"hi"),
        ("data:;base64,aG%6B%3D\n", b"hi"),
    ],
)
async def test_data_uris_are_decoded(url: str, found: bytes) -> None:
    """Percent-encoding and base64 (RFC 2397), line breaks within base64 included."""
    assert await fetched(url) == found


async def test_what_has_no_bytes_is_told_as_empty(tmp_path: Path) -> None:
    """A file and a data URI alike, before anybody looks for a video in them."""
    (tmp_path / "a.mp4").touch()
    for url in ((tmp_path / "a.mp4").as_uri(), "data:;base64,", "data:,"):
        error = await refusal(url)
        assert isinstance(error, SourceEmptyError)
        assert str(error).endswith(": no bytes")


@pytest.mark.parametrize("url", ["data:;base64", "data:;base64,a", "data:;base64,@@@@", "data:,\ud800"])
async def test_broken_data_uris_are_refused(url: str) -> None:
    """The message tells the head and the length, not the data."""
    error = await refusal(url)
    assert isinstance(error, SourceRefusedError)
    assert "@@@@" not in str(error)


async def test_data_uris_have_the_same_bound() -> None:
    """What fills the bound is taken, one byte more is not, however it is encoded."""
    settings = SourceSettings(max_mib=3 / 1024)
    for size, taken in ((3072, True), (3073, False)):
        packed = base64.b64encode(bytes(size)).decode()
        escaped = "".join(f"%{ord(c):02X}" for c in packed)
        for url in (f"data:;base64,{packed}", f"data:;base64,{escaped}", "data:," + quote(bytes(size))):
            if taken:
                assert len(await fetched(url, settings)) == size
            else:
                assert isinstance(await refusal(url, settings), SourceTooLargeError)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("/videos/a.mp4", "the URL has no scheme"),
        ("ftp://h/a.mp4", "scheme 'ftp' is not allowed"),
        ("s3://bucket/a.mp4", "scheme 's3' is not allowed"),
        ("http://h/a.mp4", "scheme 'http' is not allowed"),
        (" file:///a.mp4", "scheme ' file' is not allowed"),
    ],
)
async def test_other_schemes_are_refused(url: str, named: str) -> None:
    """The message names the scheme and the allowed ones."""
    error = await refusal(url, SourceSettings(schemes=("file", "data")))
    assert isinstance(error, SourceRefusedError)
    assert str(error) == f"{named}; allowed: file, data"


@contextmanager
def small_disk() -> Iterator[None]:
    """No file of this process may grow beyond 1000 bytes: as on a full disk, writes come to an end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        # Before pytest writes again: its output may be a file too.
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_no_fault_of_the_video() -> None:
    """What cannot be stored is transient: another attempt may find room."""
    with small_disk():
        error = await refusal("data:," + "a" * 1500)
    assert isinstance(error, SourceUnavailableError)
    assert str(error) == "data:,…(1500 characters): cannot be stored here: File too large"
