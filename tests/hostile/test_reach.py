"""Files that name other files and servers, behind all guards and behind none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from serve_app.errors import VideoUnreadableError
from serve_app.video.decoder import decode_file
from serve_app.video.job import DecodeJob
from tests.hostile.case import UNREADABLE, Case
from tests.hostile.pretenders import SDP, TARGETS, TEXTS, reference
from tests.probes import need

if TYPE_CHECKING:
    from tests.hostile.walls import Walls

pytestmark = pytest.mark.asyncio(loop_scope="module")
NEXT_DOOR = "neighbour.m3u8"
EVERY = [(name, target) for name in TEXTS for target in TARGETS]


def text_of(name: str, target: str, walls: Walls) -> str:
    """The text, with the clip next door and the trap in it."""
    port = str(walls.trap.port)
    return reference(name, target).replace("{clip}", str(walls.clip)).replace("{port}", port)


def network_of(pid: int | str) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def status_of(pid: int) -> set[str]:
    return {*Path(f"/proc/{pid}/status").read_text().splitlines()}


@pytest.mark.parametrize(("name", "target"), EVERY)
async def test_a_file_reaches_nothing(name: str, target: str, walls: Walls) -> None:
    """In the contained child it is no video, and what it names is neither opened nor connected to."""
    case = Case(name, lambda _: b"", (UNREADABLE,))
    outcome = await walls.file(case, text_of(name, target, walls).encode())
    assert outcome.kind == UNREADABLE, outcome


@pytest.mark.parametrize(("name", "target"), EVERY)
async def test_the_lists_of_formats_suffice_alone(name: str, target: str, walls: Walls) -> None:
    """In this process, which has no guard at all and could open everything, it reaches nothing either."""
    path = walls.folder / NEXT_DOOR
    path.write_text(text_of(name, target, walls))
    with pytest.raises(VideoUnreadableError):
        decode_file(DecodeJob(path))
    assert not walls.trap.touched


async def test_a_session_description_opens_no_port(walls: Walls) -> None:
    """SDP would make FFmpeg listen and wait; it is refused at once."""
    case = Case("sdp", lambda _: b"", (UNREADABLE,))
    outcome = await walls.file(case, SDP.replace("{port}", str(walls.trap.port)).encode())
    assert outcome.kind == UNREADABLE, outcome


@pytest.mark.parametrize("name", ["hls", "concat"])
async def test_these_files_would_reach_out(name: str, tmp_path: Path, walls: Walls) -> None:
    """FFmpeg as it comes opens the neighbour that is named, so that the cases bite."""
    path = tmp_path / NEXT_DOOR
    (tmp_path / "clip.mp4").write_bytes(walls.clip.read_bytes())
    path.write_text(reference(name, "clip"))
    with av.open(str(path), options={"extension_picky": "0", "allowed_extensions": "ALL"}) as opened:
        assert opened.streams.video[0].width == 64


async def test_the_trap_would_be_touched(tmp_path: Path) -> None:
    """A playlist that FFmpeg may follow to a server does connect, so that the trap can tell."""
    from tests.unit.sources.servers import trap  # noqa: PLC0415  a trap of its own: the other stays untouched

    path = tmp_path / NEXT_DOOR
    with trap() as caught:
        path.write_text(reference("hls", "http").replace("{port}", str(caught.port)))
        allowed = {"protocol_whitelist": "file,http,tcp", "extension_picky": "0"}
        with pytest.raises(av.FFmpegError):
            av.open(str(path), options=allowed, timeout=0.5)
        assert caught.touched


@pytest.mark.skipif(sys.platform != "linux", reason="the guards are Linux' own")
async def test_the_children_of_the_corpus_are_contained(walls: Walls) -> None:
    """They have a network of their own and may make no system call to leave it."""
    need(walls.box.contained, "network_namespace", "seccomp")
    own = network_of("self")
    for pid in walls.box.pids():
        assert network_of(pid) != own
        assert {"Seccomp:\t2", "NoNewPrivs:\t1"} <= status_of(pid)
