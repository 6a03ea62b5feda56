"""What a video may ask for: each refusal names the value and the limit."""

from __future__ import annotations

from serve_app.errors import VideoRefusedError
from serve_app.settings import LimitSettings

DEFAULT_LIMITS = LimitSettings()


def check_picture(width: int, height: int, limits: LimitSettings) -> None:
    """``VideoRefusedError`` for pictures that are too large."""
    if width * height > limits.picture_pixels:
        allowed = f"{limits.picture_pixels} are allowed (decoder.limits.picture_pixels)"
        raise VideoRefusedError(f"pictures of {width}x{height} have {width * height} pixels, {allowed}")


def check_packets(count: int, limits: LimitSettings) -> None:
    """``VideoRefusedError`` for too many packets; asked while they are counted."""
    if count > limits.packets:
        allowed = f"{limits.packets} are allowed (decoder.limits.packets)"
        raise VideoRefusedError(f"the video has at least {count} packets, {allowed}")


def check_duration(seconds: float, limits: LimitSettings) -> None:
    """``VideoRefusedError`` for a video that is too long."""
    if seconds > limits.duration_s:
        allowed = f"{limits.duration_s:g} s are allowed (decoder.limits.duration_s)"
        raise VideoRefusedError(f"the video is {seconds:.3f} s long, {allowed}")
