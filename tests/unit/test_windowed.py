"""A long video captioned in windows: from the file through the contained process to its record."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web

from serve_app.config import settings_from
from serve_app.engines.protocol import Generation
from serve_app.errors import EngineUnavailableError, Failure, OutputInvalidError, VideoRefusedError
from serve_app.order import Order, Orders
from serve_app.preparation import Preparation, Prepared, Windowed
from serve_app.result import Place, Said
from serve_app.schema import Captioned, CaptionRequest, EngineFacts, Usage
from serve_app.windowed import caption_windows
from tests.albums import packed, shade
from tests.clips import drifting, encode
from tests.unit.sources.files import Served
from tests.unit.sources.servers import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from serve_app.ask import Ask

HERE = Place("here", "here")
FACTS = EngineFacts(kind="fake", model="m")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds."""
    return encode(tmp_path_factory.mktemp("clips") / "a.mp4", drifting, 125, (128, 96))


@dataclass
class Engine:
    """Says of each window where it begins and how many frames it was shown, and of text that it is text."""

    asks: list[Ask] = field(default_factory=list)
    failing_from_s: float = float("inf")
    at_once: int = 0
    most_at_once: int = 0
    came: asyncio.Queue[Ask] = field(default_factory=asyncio.Queue)
    gate: asyncio.Event | None = None
    answer: str | None = None

    async def hand_over(self, frames: np.ndarray) -> int:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        return len(frames)

    async def ask(self, handed: int | None, ask: Ask) -> Said | Failure:
        self.asks.append(ask)
        self.came.put_nowait(ask)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        self.at_once -= handed is not None
        if ask.start_s >= self.failing_from_s:
            return Failure.of(EngineUnavailableError("not now"))
        text = f"{ask.start_s:g}: {handed}" if handed is not None else self.answer or "all in all"
        return Said(Generation(text, Usage(prompt_tokens=10, completion_tokens=2), "stop"), FACTS, "w")


@asynccontextmanager
async def opened(
    request: dict[str, Any], args: dict[str, Any] | None = None
) -> AsyncIterator[tuple[Order, Any]]:
    model = {"captioner": {"engine": {"kind": "openai", "base_url": "http://127.0.0.1:1", "model": "m"}}}
    settings = settings_from(
        {"sources": {"allow_networks": "127.0.0.1", "file_roots": "/", **(args or {}).pop("sources", {})}}
        | model
        | (args or {}),
        {},
    )
    preparation = Preparation(settings)
    await preparation.start()
    try:
        order = Orders(settings).of(CaptionRequest.model_validate({"sampling": {"fps": 4}, **request}))
        async with preparation.open(order) as prepared:
            yield order, prepared
    finally:
        await preparation.close()


async def made(request: dict[str, Any], engine: Engine, args: dict[str, Any] | None = None) -> Captioned:
    async with opened(request, args) as (order, prepared):
        assert isinstance(prepared, Windowed)
        return await caption_windows(prepared, order, engine, HERE)


async def test_each_window_has_a_caption_with_its_times(clip: Path) -> None:
    """Range, number, frames' times, text; what is said of the whole is put together from them."""
    engine = Engine()
    captioned = await made({"url": clip.as_uri(), "windows": {"length_s": 2}}, engine)
    assert [(one.clip_index, one.start_s, one.end_s) for one in captioned.captions] == [
        (0, 0, 2),
        (1, 2, 4),
        (2, 4, 5),
    ]
    assert [one.text for one in captioned.captions] == ["0: 8", "2: 8", "4: 4"]
    assert captioned.captions[2].pts_seconds == [4, 4.24, 4.48, 4.72]
    assert captioned.caption == "0: 8\n2: 8\n4: 4"
    assert captioned.usage == Usage(prompt_tokens=30, completion_tokens=6)
    assert (captioned.coverage.complete, captioned.coverage.start_s, captioned.coverage.end_s) == (True, 0, 5)
    assert [(one.start_s, one.end_s) for one in captioned.coverage.ranges] == [(0, 5)]
    assert captioned.frames.pts_seconds == []
    assert captioned.source.sha256


async def test_a_range_and_an_overlap_hold(clip: Path) -> None:
    """Windows lie within the asked range, each begins before the last one's end."""
    asked = {"start_s": 1, "end_s": 4, "windows": {"length_s": 2, "overlap_s": 1}}
    captioned = await made({"url": clip.as_uri(), **asked}, Engine())
    assert [(one.start_s, one.end_s) for one in captioned.captions] == [(1, 3), (2, 4)]
    assert [(one.start_s, one.end_s) for one in captioned.coverage.ranges] == [(1, 4)]


async def test_settings_choose_windows_for_what_is_long_enough(clip: Path) -> None:
    """A shorter video is captioned whole, also if a request says from which length."""
    windows = {"windows": {"from_s": 4, "length_s": 2}}
    async with opened({"url": clip.as_uri()}, windows) as (_, prepared):
        assert isinstance(prepared, Windowed)
    async with opened({"url": clip.as_uri(), "start_s": 2}, windows) as (_, prepared):
        assert isinstance(prepared, Prepared)
        assert len(prepared.frames) == 12
    async with opened({"url": clip.as_uri(), "windows": {"from_s": 9}}, windows) as (_, prepared):
        assert isinstance(prepared, Prepared)


async def test_windows_in_flight_are_bounded(clip: Path) -> None:
    """While nobody answers, no more windows are decoded than the settings allow."""
    engine = Engine(gate=asyncio.Event())
    task = asyncio.create_task(
        made({"url": clip.as_uri(), "windows": {"length_s": 1}}, engine, {"windows": {"in_flight": 2}})
    )
    assert [(await engine.came.get()).start_s for _ in range(2)] == [0, 1]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.came.get(), timeout=0.3)
    assert engine.at_once == 2
    assert engine.gate is not None
    engine.gate.set()
    assert len((await task).captions) == 5
    assert engine.most_at_once == 2


async def test_a_window_that_fails_fails_the_video(clip: Path) -> None:
    """With its own error, which says whether another attempt may help; later windows are not asked for."""
    engine = Engine(failing_from_s=1)
    with pytest.raises(EngineUnavailableError, match="not now"):
        await made({"url": clip.as_uri(), "windows": {"length_s": 1}}, engine, {"windows": {"in_flight": 1}})
    assert [ask.start_s for ask in engine.asks] == [0, 1]


async def test_a_lost_window_is_passed_over_where_that_is_allowed(clip: Path, tmp_path: Path) -> None:
    """The record has the others, a gap in the coverage, and a warning."""
    data = bytearray(clip.read_bytes())  # noqa: ASYNC240  a small clip
    data[len(data) // 2 : -4000] = bytes(len(data) - len(data) // 2 - 4000)
    (tmp_path / "spoilt.mp4").write_bytes(data)
    asked = {"url": (tmp_path / "spoilt.mp4").as_uri(), "windows": {"length_s": 1}, "on_damage": "partial"}
    captioned = await made(asked, Engine())
    assert 0 < len(captioned.captions) < 5
    assert captioned.captions[0].clip_index == 0
    assert not captioned.coverage.complete
    assert captioned.coverage.ranges[-1].end_s < 5
    assert "windows are lost to damage and passed over" in captioned.warnings[0]


async def test_a_summary_is_asked_of_the_windows_captions(clip: Path) -> None:
    """One prompt without frames, with each caption and its times; its answer is the video's caption."""
    engine = Engine()
    captioned = await made({"url": clip.as_uri(), "task": "summary"}, engine, {"windows": {"length_s": 3}})
    (*windows, last) = engine.asks
    assert [ask.text[:19] for ask in windows] == ["Describe this video"] * 2
    assert (last.pts_seconds, last.visual_tokens) == ((), 0)
    assert "0.00 to 3.00: 0: 12\n3.00 to 5.00: 3: 8" in last.text
    assert last.prompt(None).frames is None
    assert (captioned.caption, len(captioned.captions), captioned.task) == ("all in all", 2, "summary")
    assert captioned.usage == Usage(prompt_tokens=30, completion_tokens=6)


async def test_a_summarys_form_is_for_the_summary(clip: Path) -> None:
    """Windows are asked for plain text, the summary for the form; one that lacks it is an error."""
    output = {"choices": ["good", "bad"]}
    asked = {"url": clip.as_uri(), "task": "summary", "prompt": "Is it good?", "output": output}
    engine = Engine(answer="good")
    assert (await made(asked, engine)).caption == "good"
    assert [ask.output is None for ask in engine.asks] == [True, False]
    assert engine.asks[-1].text == "Is it good?\n\n0.00 to 5.00: 0: 20"
    with pytest.raises(OutputInvalidError, match="none of the 2 choices"):
        await made(asked, Engine(answer="so so"))


async def test_a_video_with_too_many_windows_is_refused(clip: Path) -> None:
    """The message says how many there are and how many may be."""
    with pytest.raises(VideoRefusedError, match=r"5 windows, 3 are allowed \(windows.most\)"):
        async with opened({"url": clip.as_uri(), "windows": {"length_s": 1}}, {"windows": {"most": 3}}):
            pass


async def test_a_file_read_in_parts_is_read_once(clip: Path) -> None:
    """Windows share what was fetched: no byte comes twice."""
    served = Served(clip.read_bytes())  # noqa: ASYNC240  a small clip
    sources = {"parts_from_mib": 0.01}
    async with serving(served.answer) as base:
        asked = {"url": f"{base}/a.mp4", "windows": {"length_s": 1}}
        captioned = await made(asked, Engine(), {"sources": sources})
    assert len(captioned.captions) == 5
    assert captioned.source.bytes_fetched <= captioned.source.bytes == len(served.body)


async def test_a_list_of_images_has_windows_too() -> None:
    """Only the images that a window shows are fetched."""
    asked: list[int] = []

    async def pictures(wanted: web.Request) -> web.StreamResponse:
        asked.append(int(wanted.path[1:]))
        return web.Response(body=packed(shade(asked[-1])))

    async with serving(pictures) as base:
        frames = {"urls": [f"{base}/{place}" for place in range(12)], "fps": 4}
        listed = {"frames": frames, "windows": {"length_s": 2}, "sampling": {"num_frames": 2}}
        captioned = await made(listed, Engine())
    assert [one.text for one in captioned.captions] == ["0: 2", "2: 2"]
    assert sorted(asked) == [0, 7, 8, 11]
