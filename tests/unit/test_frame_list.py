"""A list of frame images in a request: its forms, its times, and what is refused."""

from __future__ import annotations

import json

import pytest

from serve_app.errors import RequestInvalidError
from serve_app.schema import FrameList
from serve_app.schema.values import parse

A, B, C = "https://h/a.jpg", "file:///b.png", "data:image/gif;base64,R0lGODlh"


def said(item: object) -> object:
    return [{"role": "user", "content": [item, {"type": "text", "text": "Why?"}]}]


@pytest.mark.parametrize(
    ("value", "times", "end_s"),
    [
        ({"frames": {"urls": [A, B, C], "fps": 2}}, [0, 0.5, 1], 1.5),
        ({"frames": {"urls": [A, B, C], "times_s": [1, 1.5, 9]}}, [1, 1.5, 9], None),
        (said({"type": "video", "video": [A, B, C], "fps": 4}), [0, 0.25, 0.5], 0.75),
        (said({"video": [A, B, C], "sample_fps": 1, "fps": 9}), [0, 1, 2], 3),
        (said({"type": "video", "video": [A, B, C]}), [0, 0.5, 1], 1.5),
    ],
)
def test_every_form_names_the_same_images(value: object, times: list[float], end_s: float | None) -> None:
    """An object with a rate or with times, and Qwen's chat item; without a word it is two a second."""
    source = parse(json.dumps(value).encode()).source
    assert isinstance(source, FrameList)
    assert (source.urls, source.pts_seconds, source.end_s) == ((A, B, C), times, end_s)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"frames": {"urls": [A]}}, "frames: give exactly one of fps and times_s"),
        ({"frames": {"urls": [A], "fps": 1, "times_s": [0]}}, "frames: give exactly one of fps and times_s"),
        ({"frames": {"urls": [], "fps": 1}}, "frames.urls: the value is refused; allowed: list, 1 or longer"),
        ({"frames": {"urls": [A] * 4097, "fps": 1}}, "frames.urls: the value is refused; allowed: list, 1"),
        ({"frames": {"urls": [A, ""], "fps": 1}}, "frames.urls[1]: the value is refused; allowed: text"),
        ({"frames": {"urls": A, "fps": 1}}, "frames.urls: the value is refused; allowed: list"),
        ({"frames": {"urls": [A], "fps": 0}}, "frames.fps: '0' is refused; allowed: number, at least 1e-06"),
        ({"frames": {"urls": [A], "fps": True}}, "frames.fps: 'true' is refused; allowed: number"),
        (
            {"frames": {"urls": [A, B], "times_s": [0]}},
            "frames.times_s: 1 times for 2 images; allowed: one for each",
        ),
        (
            {"frames": {"urls": [A, B, C], "times_s": [0, 2, 2]}},
            "frames.times_s[2]: '2.0' is refused; allowed: above 2, the time before it",
        ),
        ({"frames": {"urls": [A], "times_s": [-1]}}, "frames.times_s[0]: '-1' is refused; allowed: number"),
        ({"frames": {"urls": [A], "rate": 1}}, "frames.rate: unknown key"),
        ({"url": A, "frames": {"urls": [A], "fps": 1}}, "give exactly one of url, frames and messages"),
        (
            said({"type": "video", "video": [A, 7]}),
            "messages[0].content[0].video[1]: '7' is refused; allowed: text",
        ),
        (
            said({"type": "video", "video": [A], "fps": -1}),
            "messages[0].content[0].fps: '-1' is refused; allowed: number",
        ),
        (
            said({"type": "video", "video": []}),
            "messages[0].content[0].video: the value is refused; allowed: list",
        ),
        (said({"type": "video", "video": 3}), "a video item must hold a URL or a list of them, found int"),
        (said({"type": "video_url", "video_url": [A]}), "a video_url item must hold a URL, found list"),
    ],
)
def test_what_is_no_list_is_refused_by_its_path(value: object, told: str) -> None:
    """Path, value and what is allowed are told, and no URL."""
    with pytest.raises(RequestInvalidError) as caught:
        parse(json.dumps(value).encode())
    assert str(caught.value).startswith(told)
    assert "h/a.jpg" not in str(caught.value)
