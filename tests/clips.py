"""Clips for tests, made in code."""

from __future__ import annotations

from pathlib import Path

from serve_app.video.clips import encode, square_on


def write_clip(path: Path, *, seconds: float, fps: int, width: int, height: int) -> Path:
    """A square that moves over a red ground."""
    return encode(path, square_on((200, 30, 30), (255, 255, 255)), int(seconds * fps), (width, height), fps)
