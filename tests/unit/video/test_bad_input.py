"""Files that are no video, or no longer one: each gets an error that says why, and never a made-up frame."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from serve_app.errors import VideoUnreadableError
from serve_app.schema import FpsSampling
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.job import DecodeJob, Shot
from tests.clips import X264, Coding, drifting, encode, full_decode, write_audio

if TYPE_CHECKING:
    from pathlib import Path

FASTSTART = Coding(options={**X264, "g": "25", "bf": "2"}, container_options={"movflags": "+faststart"})


DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>
<Representation id="0"><BaseURL>{clip}</BaseURL></Representation></AdaptationSet></Period></MPD>
"""


def jpeg(path: Path) -> bytes:
    Image.new("RGB", (64, 48), "red").save(path)
    return path.read_bytes()


def refused(path: Path, match: str, shot: Shot | None = None) -> None:
    with pytest.raises(VideoUnreadableError, match=match) as caught:
        decode_file(DecodeJob(path, shot or Shot()))
    assert str(path.parent) not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"hello, this is plain text\n" * 100,
        random.Random(7).randbytes(1 << 20),
        bytes(1 << 20),
        b"%PDF-1.7\n" + bytes(1000),
        b"<html><body>404</body></html>",
    ],
    ids=["empty", "one byte", "text", "noise", "zeros", "pdf", "html"],
)
def test_what_is_no_video_is_called_so(tmp_path: Path, content: bytes) -> None:
    """Text, noise and nothing are refused in words, without the path."""
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    refused(path, "not a video in a known container")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_a_picture_is_no_video(tmp_path: Path, suffix: str) -> None:
    """FFmpeg would show a picture as a video of one frame; it is refused, whatever its name says."""
    Image.new("RGB", (64, 48), "red").save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.mp4")
    refused(tmp_path / "a.mp4", "not a video in a known container")


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {clip}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        DASH,
    ],
    ids=["hls", "concat", "sdp", "dash"],
)
@pytest.mark.parametrize("folder", ["", "{folder}/"], ids=["relative", "absolute"])
def test_a_playlist_opens_no_other_file(tmp_path: Path, playlist: str, folder: str) -> None:
    """A playlist that names a good clip next door is refused: one job reads one file."""
    clip = encode(tmp_path / "clip.mp4", drifting, 5, (64, 48))
    path = tmp_path / "list.m3u8"
    path.write_text(playlist.format(clip=folder.format(folder=tmp_path) + clip.name))
    refused(path, "not a video in a known container")


def test_audio_alone_has_no_video_stream(tmp_path: Path) -> None:
    """A song is told apart from a broken video."""
    refused(write_audio(tmp_path / "a.mp4"), "^the file has no video stream$")


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    """The picture on a song is not captioned as if it were one."""
    refused(write_audio(tmp_path / "a.mp4", jpeg(tmp_path / "c.jpg")), "^the file has no video stream$")


def test_a_header_without_frames_is_refused(tmp_path: Path) -> None:
    """A container that announces a video stream and holds no packet is empty, not silent success."""
    fragments = Coding(container_options={"movflags": "frag_keyframe+empty_moov"})
    clip = encode(tmp_path / "a.mp4", drifting, 5, (64, 48), fragments).read_bytes()
    path = tmp_path / "b.mp4"
    path.write_bytes(clip[: clip.index(b"moof") - 4])
    refused(path, "^the video stream has no frames$")


def test_a_directory_and_a_pipe_are_refused(tmp_path: Path) -> None:
    """Only regular files are opened: a pipe could keep its reader waiting for ever."""
    refused(tmp_path, "^not a regular file$")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "^not a regular file$")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_that_was_cut_says_how_much_is_left(tmp_path: Path, share: float) -> None:
    """Half a download is an error that counts frames; it is not captioned as if it were whole."""
    whole = encode(tmp_path / "a.mp4", drifting, 100, (128, 96), FASTSTART).read_bytes()
    path = tmp_path / "b.mp4"
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, r"^the file is cut short: \d+ of 100 frames are there, up to \d\.\d\d\d s$")


def test_a_cut_file_still_serves_what_is_whole(tmp_path: Path) -> None:
    """A range that ends before the cut comes out as from the whole file, with a warning."""
    whole = encode(tmp_path / "a.mp4", drifting, 100, (128, 96), FASTSTART)
    path = tmp_path / "b.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    got = decode_file(DecodeJob(path, Shot(FpsSampling(fps=5), end_s=1.0, size=FixedSize(128, 96))))
    times, pixels = full_decode(whole, 128, 96)
    same = np.searchsorted(times, got.frames.pts_seconds - 1e-6)
    assert (pixels[same] == got.frames.data).all()
    assert any(warning.startswith("the file is cut short") for warning in got.warnings)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.avi"])
def test_a_cut_is_seen_in_containers_without_a_table(tmp_path: Path, name: str) -> None:
    """Matroska and AVI promise a size in their first bytes."""
    codecs = {
        "a.mkv": Coding(options={**X264, "g": "25"}),
        "a.webm": Coding("libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
        "a.avi": Coding("mpeg4", options={"g": "25"}),
    }
    whole = encode(tmp_path / name, drifting, 100, (128, 96), codecs[name]).read_bytes()
    path = tmp_path / f"cut-{name}"
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "^the file is cut short")


def test_damage_in_chosen_frames_is_counted(tmp_path: Path) -> None:
    """Zeros in the middle of a file: how many of the chosen frames came out, and no black ones."""
    data = bytearray(encode(tmp_path / "a.mp4", drifting, 100, (128, 96), FASTSTART).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    path = tmp_path / "b.mp4"
    path.write_bytes(data)
    refused(path, r"^\d+ of 100 chosen frames could be decoded$", Shot(FpsSampling(fps=25)))
