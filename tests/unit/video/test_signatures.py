"""What may be handed to a decoder that takes whatever it likes, by first bytes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from serve_app.video.signatures import container_of, end_of_boxes, names_others
from tests.hostile.seeds import SEEDS, Seeds

if TYPE_CHECKING:
    from pathlib import Path

TS = (b"\x47" + bytes(187)) * 6
M2TS = (bytes(4) + b"\x47" + bytes(187)) * 6


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00", "mov"),
        (b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat", "mov"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01", "matroska"),
        (b"RIFF\x10\x00\x00\x00AVI LIST", "avi"),
        (b"\x00\x00\x01\xba\x44\x00", "mpeg"),
        (b"\x00\x00\x01\xb3\x14\x00", "mpegvideo"),
        (b"FLV\x01\x05", "flv"),
        (b"OggS\x00\x02", "ogg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "asf"),
        (b"GIF89a\x10\x00\x10\x00", "gif"),
        (TS, "mpegts"),
        (M2TS, "mpegts"),
    ],
)
def test_a_container_begins_with_its_mark(head: bytes, container: str) -> None:
    """Each container of the list is known by what stands at its beginning."""
    assert container_of(head) == container


def test_real_files_have_these_marks(tmp_path: Path) -> None:
    """Every kind of file that the corpus begins with, but a bare stream, which has none."""
    seeds = Seeds(tmp_path)
    named = {name: container_of(seeds[name]) for name in SEEDS}
    assert {name for name, container in named.items() if container is None} == {"raw.h264"}
    assert named["theora.ogv"] == "ogg"
    assert named["windows.asf"] == "asf"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"hello, world",
        b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd",
        b"ffconcat version 1.0\nfile a.mp4",
        b'<?xml version="1.0"?><MPD>',
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        b"RIFF\x10\x00\x00\x00WEBPVP8 ",
        b"RIFF\x10\x00\x00\x00WAVEfmt ",
        b"BM60\x00\x00",
        b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
        b"YUV4MPEG2 W96 H64",
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
        b"\x47" * 100,
        TS[:400],
    ],
)
def test_all_else_is_none(head: bytes) -> None:
    """Texts, playlists, pictures, sound, and what is too short to be sure of."""
    assert container_of(head) is None


@pytest.mark.parametrize(
    "text", [b"<MPD xmlns", b"<mpd", b"#EXTM3U", b"ffconcat version", b"\nc=IN IP4", b"<CompositionPlaylist"]
)
def test_what_could_be_taken_for_a_playlist_is_seen(text: bytes) -> None:
    """A mark of a container at the beginning does not hide it: FFmpeg asks all its demuxers."""
    assert names_others(b"GIF89a" + text + b"...")
    assert not names_others(b"GIF89a...")


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", 0),
        (b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00", 16),
        (b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x01\x00mdat", 272),
        (b"\x00\x00\x00\x01mdat\x00\x00\x00\x01\x00\x00\x00\x00", 2**32),
        (b"\x00\x00\x00\x01mdat" + b"\xff" * 8, 2**64 - 1),
        (b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x00mdat....", 16),
    ],
)
def test_boxes_tell_where_they_end(data: bytes, end: int) -> None:
    """Also in 64 bits; one that lasts to the end of the file promises nothing."""
    assert end_of_boxes(lambda at, count: data[at : at + count], len(data)) == end
