"""What a start with the fallback loads, and where it is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from serve_app.errors import SettingsError
from serve_app.settings import DecoderSettings
from serve_app.video.sandbox import Sandbox
from tests.probes import ROOT
from tests.torchcodecs import usable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = usable

LOADED = """
import asyncio, sys
from serve_app.settings import DecoderSettings
from serve_app.video.sandbox import Sandbox

async def main():
    box = Sandbox.of(DecoderSettings(fallback="torchcodec", max_frames_mib=1))
    await box.start()
    print(*{"torch", "torchcodec", "av"} & sys.modules.keys())
    await box.close()

asyncio.run(main())
"""


def test_the_parent_loads_neither() -> None:
    """Only the contained child has torch in its memory."""
    command = [sys.executable, "-c", LOADED]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout == "\n"


async def test_a_system_without_ffmpeg_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what to install; no video is needed to find out."""
    for version in range(50, 70):
        for name in ("util", "codec", "format", "filter", "device"):
            (tmp_path / f"libav{name}.so.{version}").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    box = Sandbox.of(DecoderSettings(fallback="torchcodec", max_frames_mib=1))
    with pytest.raises(SettingsError) as refused:
        await box.start()
    await box.close()
    told = "TorchCodec finds no FFmpeg that it can use: install FFmpeg 4 to 9 as shared libraries"
    assert str(refused.value).startswith(f"decoder.fallback: 'torchcodec' is refused; {told}")
