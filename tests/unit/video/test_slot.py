"""What a child may not do: outlive its parent, read its secrets, or be believed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from serve_app.settings import LimitSettings
from serve_app.video.decoder import decode_file
from serve_app.video.job import DecodeJob, Done
from serve_app.video.sandbox import Sandbox
from serve_app.video.slot import Slot
from tests.clips import write_clip

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 30.0
MIB = 1 << 20

PARENT = """
import asyncio, sys
from pathlib import Path
from serve_app.video.job import DecodeJob
from serve_app.video.sandbox import Sandbox

async def main():
    box = Sandbox(2, 60.0, 1 << 20)
    await box.start()
    print(*box.pids(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_children_die_with_their_parent() -> None:
    """A parent that is killed outright, with no chance to tidy up, leaves no child behind."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        parent.kill()
        _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="reads the environment from /proc")
async def test_secrets_stay_with_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that reads hostile files does not inherit the broker's password."""
    monkeypatch.setenv("KAFKA_PASSWORD", "hush")
    box = Sandbox(children=1, timeout_s=PATIENCE_S, max_frames_bytes=MIB)
    await box.start()
    assert "KAFKA_PASSWORD" not in psutil.Process(box.pids()[0]).environ()
    await box.close()


async def test_an_answer_is_checked_before_it_is_believed(tmp_path: Path) -> None:
    """A child that claims more frames than the memory holds, or answers another job, is not believed."""
    clip = write_clip(tmp_path / "a.mp4", seconds=1, fps=10, width=64, height=48)
    slot = Slot(MIB, LimitSettings(), frozenset())
    decoded = decode_file(DecodeJob(clip))

    def claim(job: int, height: int) -> bytes:
        times = [0.0, 1.0]
        done = Done(
            job=job,
            width=512,
            height=height,
            pts_seconds=times,
            video=decoded.video,
            coverage=decoded.coverage,
            warnings=(),
            cpu_s=0,
            wall_s=0,
        )
        return done.model_dump_json().encode()

    assert not isinstance(slot._read(claim(0, 256)), Exception)
    for nonsense in (claim(0, 1 << 20), claim(7, 256), b"{}", b"not json", b'{"kind": "done"}'):
        with pytest.raises(ValueError, match=r".+"):
            slot._read(nonsense)
    await slot.close()
