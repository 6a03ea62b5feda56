"""Transport streams with bytes that are lost or spoilt: what may refer to them is none to caption."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from serve_app.errors import VideoUnreadableError
from serve_app.schema import FpsSampling
from serve_app.video.decoder import decode_file
from serve_app.video.geometry import FixedSize
from serve_app.video.index import Header, Packets, build
from serve_app.video.job import DecodeJob, Shot
from serve_app.video.transport import BLOCK, MOST, marked, out_of_step
from tests.clips import X264, Coding, drifting, encode, full_decode

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.schema import OnDamage

FRAMES, SIZE, SMALL, OFTEN = 75, 188, FixedSize(48, 32), FpsSampling(fps=10)
OPEN = {**X264, "x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-pyramid=normal"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of H.264 whose pictures refer across GOPs."""
    path = tmp_path_factory.mktemp("transport") / "a.ts"
    return encode(path, drifting, FRAMES, (96, 64), Coding(options=OPEN, container="mpegts"))


def steps(data: bytes) -> list[int]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return out_of_step(file.fileno())


@pytest.mark.parametrize("spoilt", ["zeroed", "cut out"])
@pytest.mark.parametrize("on_damage", ["fail", "partial"])
def test_no_picture_that_refers_to_lost_bytes_is_given(
    tmp_path: Path, whole: Path, on_damage: OnDamage, spoilt: str
) -> None:
    """300 bytes zeroed, or a packet cut out, at many places: frames are right or missing, never wrong."""
    times, pixels = full_decode(whole, 48, 32)
    data, path, hit = whole.read_bytes(), tmp_path / "b.ts", 0
    for at in range(len(data) // 8, len(data) * 7 // 8, 941):
        row = at // SIZE * SIZE
        bad = (
            data[:row] + data[row + SIZE :]
            if spoilt == "cut out"
            else data[:at] + bytes(300) + data[at + 300 :]
        )
        path.write_bytes(bad)
        try:
            got = decode_file(DecodeJob(path, Shot(OFTEN, size=SMALL, on_damage=on_damage)))
        except VideoUnreadableError:
            hit += 1
            continue
        hit += not got.coverage.complete
        same = np.searchsorted(times, got.frames.pts_seconds - 1e-4)
        assert (got.frames.data == pixels[same]).all(), at
    assert hit > 10


def test_damage_elsewhere_is_no_error(tmp_path: Path, whole: Path) -> None:
    """Where no chosen frame may refer to it, the frames are those of the whole stream."""
    data = whole.read_bytes()
    at = len(data) * 7 // 8
    path = tmp_path / "b.ts"
    path.write_bytes(data[:at] + bytes(300) + data[at + 300 :])
    got = decode_file(DecodeJob(path, Shot(OFTEN, end_s=1.0, size=SMALL)))
    times, pixels = full_decode(whole, 48, 32)
    assert (got.frames.data == pixels[np.searchsorted(times, got.frames.pts_seconds - 1e-4)]).all()


@pytest.mark.parametrize("size", [188, 192, 204])
def test_every_break_in_the_step_is_found(size: int) -> None:
    """Packets of each size, also beyond one block: a spoilt one, some bytes too many, and a cut end."""
    count, first = 3 * BLOCK, 4 if size == 192 else 0
    one = bytearray(size)
    one[first] = 0x47
    data = bytearray(bytes(one) * count)
    assert steps(bytes(data)) == []
    data[5 * size + first] = 0
    places = [5 * size + first]
    middle = (2 * BLOCK + 7) * size
    data[middle:middle] = b"\1" * 50
    places.append(middle + first)
    assert steps(bytes(data[: -size // 2])) == places


def test_noise_is_in_no_step_and_ends() -> None:
    """What is no transport stream, nothing at all, or damage everywhere: no endless search."""
    assert steps(b"") == []
    assert steps(bytes(400_000)) == []
    often = (b"\x47" + bytes(187)) * 3 + bytes(30)
    assert len(steps(often * (MOST + 9))) == MOST


def test_the_packet_before_a_break_is_marked() -> None:
    """A break in front of all packets hits none; one within or behind a packet hits that one."""
    order, none = np.arange(3, dtype=np.int64), np.zeros(3, np.int64)
    packets = Packets(order, order, none, none, order == 0, none > 0, none > 0)
    index = build(packets, Fraction(1), Header())
    with tempfile.TemporaryFile() as file:
        file.write((b"\x47" + bytes(187)) * 12)
        for row in (0, 6):
            file.seek(row * SIZE)
            file.write(b"\0")
        file.flush()
        seen = marked(index, file.fileno(), [(2 * SIZE, 9), (5 * SIZE, 9), (9 * SIZE, 9)])
    assert seen.packets.corrupt.tolist() == [False, True, False]
