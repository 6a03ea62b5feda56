"""Which files the fallback is asked for; in place of TorchCodec stands one that notes what it is given."""

from __future__ import annotations

import io
import os
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from serve_app.errors import SettingsError, SourceUnavailableError, VideoRefusedError
from serve_app.errors import VideoUnreadableError as Unreadable
from serve_app.settings import DecoderSettings, LimitSettings, Settings
from serve_app.video.api import VideoDecoder
from serve_app.video.backends import Pyav
from serve_app.video.fallback import Fallback
from serve_app.video.frames import fresh
from serve_app.video.job import Shot
from serve_app.video.limits import DEFAULT_LIMITS
from serve_app.video.sandbox import Sandbox
from tests.clips import Coding, drifting, encode, write_audio
from tests.hostile import pretenders
from tests.lax import lax, without_decoder
from tests.torchcodecs import INSTALLED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serve_app.video.backends import Backend
    from serve_app.video.cursor import Cursor
    from serve_app.video.job import Decoded
    from serve_app.video.partial import Fetch

POLYGLOT = b"GIF89a\x00\x00\x00\x00\x00\x00\x00" + pretenders.DASH.encode()
# Behind such a tag FFmpeg looks for what a file is.
TAG = b"ID3\x04\x00\x00\x00\x00\x00\x04abcd"
TEXTS = [text.format(target="clip.mp4").encode() for text in pretenders.TEXTS.values() if "{{" not in text]


def picture(kind: str) -> bytes:
    """A picture file."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, kind)
    return file.getvalue()


@dataclass
class Second:
    """Stands in for TorchCodec: gives the frames of a good file, whatever it is asked for."""

    good: Path
    given: list[tuple[bytes, int | None]] = field(default_factory=list)

    def __call__(self, opened: Callable[[], Cursor], limits: LimitSettings, stream: int | None) -> Backend:
        file = opened()
        self.given.append((file.head(file.size), stream))
        return Pyav(os.open(self.good, os.O_RDONLY), limits)


@pytest.fixture
def second(tmp_path: Path) -> Second:
    """One that is asked for nothing yet."""
    return Second(encode(tmp_path / "good.mp4", drifting, 25, (96, 64)))


def decoded(
    second: Second, path: Path, fetch: Fetch | None = None, limits: LimitSettings = DEFAULT_LIMITS
) -> Decoded:
    """What comes of a file where there is a fallback."""
    fd = os.open(path, os.O_RDWR)
    try:
        with closing(Fallback(second)(fd, limits, fetch)) as video:
            return video.take(Shot(), fresh)
    finally:
        os.close(fd)


@pytest.mark.parametrize("make", [lax, without_decoder])
def test_what_pyav_lacks_something_for_goes_to_the_second(
    tmp_path: Path, second: Second, make: Callable[[Path], Path]
) -> None:
    """A container that it cannot open, a codec that it does not know; the first warning says why."""
    path = make(tmp_path / "a.mp4")
    got = decoded(second, path)
    ((data, stream),) = second.given
    assert data == path.read_bytes()
    assert stream == (0 if make is without_decoder else None)
    assert got.warnings[0].startswith("decoded by TorchCodec, since PyAV cannot open it: ")
    assert len(got.frames) > 0


def test_a_good_file_is_pyavs(second: Second) -> None:
    """The second is not asked, and nothing is said."""
    got = decoded(second, second.good)
    assert (second.given, got.warnings, got.video.decoder) == ([], (), "pyav")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello, world" * 100,
        POLYGLOT,
        *TEXTS,
        *(TAG + text for text in TEXTS),
        *(picture(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF")),
    ],
)
def test_texts_and_pictures_never_reach_the_second(tmp_path: Path, second: Second, data: bytes) -> None:
    """Nor do playlists, also where a container's mark stands before them: PyAV's own refusal stands."""
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(Unreadable):
        decoded(second, tmp_path / "a.bin")
    assert second.given == []


def test_a_video_that_hides_a_playlist_never_reaches_the_second(tmp_path: Path, second: Second) -> None:
    """Another FFmpeg could take it for the playlist, whatever PyAV takes it for."""
    path = without_decoder(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + b"\x00\x00\x00\x40free<MPD" + bytes(52))
    with pytest.raises(Unreadable, match=r"^there is no decoder for the video stream$"):
        decoded(second, path)
    assert second.given == []


def test_what_is_outside_the_list_never_reaches_the_second(tmp_path: Path, second: Second) -> None:
    """A video in a container that is not allowed, and sound alone."""
    coding = Coding("rawvideo", options={}, container="yuv4mpegpipe")
    odd = encode(tmp_path / "a.y4m", drifting, 5, (96, 64), coding)
    sound = write_audio(tmp_path / "a.m4a")
    for path in (odd, sound):
        with pytest.raises(Unreadable):
            decoded(second, path)
    assert second.given == []


@pytest.mark.parametrize("limit", [{"picture_pixels": 100}, {"packets": 5}, {"duration_s": 0.5}])
def test_what_a_limit_refused_never_reaches_the_second(second: Second, limit: dict[str, float]) -> None:
    """The refusal is PyAV's, and final."""
    with pytest.raises(VideoRefusedError):
        decoded(second, second.good, limits=LimitSettings.model_validate(limit))
    assert second.given == []


def test_a_damaged_video_never_reaches_the_second(tmp_path: Path, second: Second) -> None:
    """PyAV opened it and has a decoder: what is broken stays broken."""
    path = tmp_path / "cut.mkv"
    path.write_bytes(encode(tmp_path / "a.mkv", drifting, 60, (96, 64)).read_bytes()[:-2000])
    with pytest.raises(Unreadable, match="the file is cut short"):
        decoded(second, path)
    assert second.given == []


def test_a_limit_of_the_seconds_is_a_refusal(tmp_path: Path, second: Second) -> None:
    """The second is held to the same limits, and its refusal is final, too."""
    with pytest.raises(VideoRefusedError, match="pictures of 96x64"):
        decoded(second, lax(tmp_path / "a.mp4"), limits=LimitSettings(picture_pixels=100))


def put(path: Path, data: bytes, start: int, end: int) -> None:
    """What fetches: it writes into the file."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data[start:end])


def test_a_file_that_is_elsewhere_is_fetched_for_the_second(tmp_path: Path, second: Second) -> None:
    """It reads what PyAV reads: through the one who fetches."""
    path = lax(tmp_path / "a.mp4")
    data = path.read_bytes()
    path.write_bytes(bytes(len(data)))
    assert len(decoded(second, path, partial(put, path, data)).frames) > 0
    assert second.given == [(data, None)]


def test_what_cannot_be_fetched_is_told_as_that(tmp_path: Path, second: Second) -> None:
    """A source that fails under the second fails as one, not as a video."""
    path = without_decoder(tmp_path / "a.mp4", padding=4 << 20)
    data = path.read_bytes()
    path.write_bytes(bytes(len(data)))

    def fetch(start: int, end: int) -> None:
        if start < 1 << 20 < end or 1 << 20 <= start < 3 << 20:
            raise SourceUnavailableError("gone")
        put(path, data, start, end)

    with pytest.raises(SourceUnavailableError, match="gone"):
        decoded(second, path, fetch)


@pytest.mark.skipif(INSTALLED, reason="TorchCodec is installed")
def test_without_torchcodec_it_is_said_what_to_install(tmp_path: Path) -> None:
    """Asked for by name it is missed; as the second choice PyAV's own error stays."""
    path = encode(tmp_path / "a.mp4", drifting, 5, (96, 64))
    with pytest.raises(ImportError, match=r"pip install 'capstream\[torchcodec\]'"):
        VideoDecoder(path, backend="torchcodec")
    with pytest.raises(Unreadable, match="not a video in a known container"):
        VideoDecoder(b"hello", backend="either")


@pytest.mark.skipif(INSTALLED, reason="TorchCodec is installed")
async def test_the_setting_without_the_extra_is_refused_at_the_start() -> None:
    """In a sentence that names the setting, its value and what to install."""
    box = Sandbox.of(DecoderSettings(fallback="torchcodec", max_frames_mib=1))
    with pytest.raises(SettingsError) as refused:
        await box.start()
    await box.close()
    told = "TorchCodec is not installed: pip install 'capstream[torchcodec]'"
    assert str(refused.value) == f"decoder.fallback: 'torchcodec' is refused; {told}"


def test_the_fallback_is_part_of_the_configurations_hash() -> None:
    """A caption that TorchCodec may have had a part in is not kept for a configuration without it."""
    plain = Settings()
    with_it = Settings(decoder=DecoderSettings(fallback="torchcodec"))
    assert plain.config_hash() != with_it.config_hash()
    assert plain.config_hash() == Settings(decoder=DecoderSettings(fallback="none")).config_hash()
