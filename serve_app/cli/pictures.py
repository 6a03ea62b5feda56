"""``capstream frames``: the frames that sampling chooses, as pictures with their times."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serve_app.cli.context import own_settings_of, video_of
from serve_app.cli.numbers import END, EVERY, FPS, NUM_FRAMES, START, TIMES
from serve_app.schema import (
    FpsSampling,
    IntervalSampling,
    KeyframesSampling,
    NumFramesSampling,
    OnDamage,
    Sampling,
    SceneSampling,
    SourceFacts,
    TimesSampling,
    UniformSampling,
)
from serve_app.schema.sampling import MAX_FRAMES, MAX_TIMES
from serve_app.settings import ModelProfile, Settings
from serve_app.settings.models import BUILT_IN

if TYPE_CHECKING:
    from serve_app.video.job import Decoded, Shot

OURS = re.compile(r"frame-\d{5}\.png")
STRATEGIES = {
    "fps": "--fps",
    "num_frames": "--num-frames",
    "every_s": "--every",
    "segments": "--uniform",
    "keyframes": "--keyframes",
    "scene": "--scene",
    "times_s": "--times",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which frames are asked for, and how large; ``None`` is not said."""

    fps: float | None
    num_frames: int | None
    every_s: float | None
    segments: int | None
    keyframes: bool
    scene: bool
    times_s: tuple[float, ...] | None
    max_frames: int | None
    profile: str | None
    start_s: float | None
    end_s: float | None
    on_damage: OnDamage | None
    width: int | None
    height: int | None


@click.command()
@click.argument("source", metavar="FILE|URL")
@click.option(
    "--out", "folder", required=True, type=click.Path(path_type=Path), help="Folder, made if missing."
)
@click.option("--fps", type=FPS, help="So many frames per second of video. Default: the settings' sampling.")
@click.option("--num-frames", type=NUM_FRAMES, help="So many frames, spread over the video.")
@click.option("--every", "every_s", type=EVERY, help="One frame every so many seconds.")
@click.option("--uniform", "segments", type=NUM_FRAMES, help="So many, at the middles of equal segments.")
@click.option("--keyframes", is_flag=True, help="The keyframes.")
@click.option("--scene", is_flag=True, help="At least one of each shot, more where the picture changes.")
@click.option("--times", "times_s", type=TIMES, help="Those shown at these seconds: 0,2.5,7.")
@click.option("--max-frames", type=NUM_FRAMES, help="Never more than so many.")
@click.option("--profile", help="A model's id, or a profile's name: frames and size as the model takes them.")
@click.option("--start", "start_s", type=START, help="First second, on the container's timeline.")
@click.option("--end", "end_s", type=END, help="Second to stop before.")
@click.option(
    "--on-damage",
    type=click.Choice(["fail", "partial"]),
    help="A damaged video: an error, or what is whole of it. Default: the settings'.",
)
@click.option("--width", type=click.IntRange(1, 16384), help="Pixels. Default: as shown, or by the profile.")
@click.option("--height", type=click.IntRange(1, 16384), help="Pixels. Default: as shown, or by the profile.")
@click.pass_obj
def frames(config_path: Path | None, /, source: str, folder: Path, **asked: float | None) -> None:
    """Write the chosen frames as PNG files, and frames.json with their times.

    An earlier run's frame-00000.png and so on are removed from the folder first, other files stay.
    """
    choice = Choice(**asked)  # type: ignore[arg-type]  # click has converted each by its option's type
    if choice.start_s is not None and choice.end_s is not None and choice.end_s <= choice.start_s:
        raise click.UsageError(f"--end {choice.end_s:g} must be above --start {choice.start_s:g}")
    settings = _profiled(own_settings_of(config_path), choice.profile)
    shot = _shot(choice, settings)
    url = video_of(source)
    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written, removed = asyncio.run(_write(settings, url, shot, folder))
    if removed:
        click.echo(f"{removed} pictures of an earlier run were removed from {folder}", err=True)
    click.echo(f"{written} frames in {folder}")


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror or error}") from error


def _profiled(settings: Settings, name: str | None) -> Settings:
    if name is None:
        return settings
    decoder = settings.decoder.model_copy(update={"profile": name})
    if decoder.profile_for(None) is None:
        names = ", ".join(one.name for one in (*decoder.profiles, *BUILT_IN))
        raise click.UsageError(f"--profile {name!r} is refused; allowed: a known model's id, or {names}")
    return settings.model_copy(update={"decoder": decoder})


def _shot(choice: Choice, settings: Settings) -> Shot:
    from serve_app.video.geometry import FixedSize  # noqa: PLC0415  decoding is needed by few commands
    from serve_app.video.job import Asked  # noqa: PLC0415

    asked = Asked(
        _sampling(choice), choice.start_s, choice.end_s, choice.max_frames, on_damage=choice.on_damage
    )
    shot = asked.shot(settings.decoder, settings.profile)
    if settings.profile is None or choice.width is not None or choice.height is not None:
        return replace(shot, size=FixedSize(choice.width, choice.height))
    return shot


def _sampling(choice: Choice) -> Sampling | None:  # noqa: PLR0911  one for each strategy
    said = [option for name, option in STRATEGIES.items() if getattr(choice, name) not in (None, False)]
    if len(said) > 1:
        *others, last = STRATEGIES.values()
        raise click.UsageError(f"give one of {', '.join(others)} and {last}")
    if choice.fps is not None:
        return FpsSampling(fps=choice.fps, max_frames=MAX_FRAMES)
    if choice.num_frames is not None:
        return NumFramesSampling(num_frames=choice.num_frames)
    if choice.every_s is not None:
        return IntervalSampling(every_s=choice.every_s, max_frames=MAX_FRAMES)
    if choice.segments is not None:
        return UniformSampling(segments=choice.segments)
    if choice.times_s is not None:
        if len(choice.times_s) > MAX_TIMES:
            raise click.UsageError(f"--times takes {MAX_TIMES} times at most, not {len(choice.times_s)}")
        return TimesSampling(times_s=choice.times_s)
    if choice.keyframes:
        return KeyframesSampling(max_frames=MAX_FRAMES)
    return SceneSampling() if choice.scene else None


async def _write(settings: Settings, url: str, shot: Shot, folder: Path) -> tuple[int, int]:
    from serve_app.sources.fetch import Fetcher  # noqa: PLC0415  decoding is needed by few commands
    from serve_app.video.job import DecodeJob  # noqa: PLC0415
    from serve_app.video.sandbox import Sandbox  # noqa: PLC0415

    fetcher = Fetcher(settings.sources, cache=settings.cache)
    sandbox = Sandbox.of(settings.decoder.model_copy(update={"children": 1}))
    try:
        await sandbox.start()
        async with fetcher.fetch(url, parts=True) as fetched:
            job = DecodeJob(fetched.path, shot, None if fetched.rest is None else fetched.rest.supply)
            async with sandbox.decode(job) as decoded:
                with _writing_to(folder):
                    removed = _cleared(folder)
                    return save(decoded, fetched.facts, folder, settings.profile), removed
    finally:
        await sandbox.close()
        await fetcher.close()


def _cleared(folder: Path) -> int:
    """Remove what an earlier run wrote, so that pictures and report are one run's; how many pictures."""
    (folder / "frames.json").unlink(missing_ok=True)
    stale = [path for path in folder.iterdir() if OURS.fullmatch(path.name)]
    for path in stale:
        path.unlink()
    return len(stale)


def save(decoded: Decoded, source: SourceFacts, folder: Path, profile: ModelProfile | None) -> int:
    """Write the pictures and ``frames.json``; returns how many there are."""
    from PIL import Image  # noqa: PLC0415  needed here only

    from serve_app.video.profiles import facts_of  # noqa: PLC0415  decoding is needed by few commands

    names = [f"frame-{index:05d}.png" for index in range(len(decoded.frames.pts_seconds))]
    for name, picture in zip(names, decoded.frames.data, strict=True):
        Image.fromarray(picture).save(folder / name)
    times = decoded.frames.pts_seconds.tolist()
    facts = facts_of(decoded.frames, profile)
    report = {
        "source": source.model_dump(),
        "frames": [{"file": name, "pts_seconds": at} for name, at in zip(names, times, strict=True)],
        "width": facts.width,
        "height": facts.height,
        "profile": facts.profile,
        "visual_tokens": facts.visual_tokens,
        "stream": decoded.video.stream,
        "rotation": decoded.video.rotation,
        "video": decoded.video.model_dump(),
        "coverage": decoded.coverage.model_dump(mode="json"),
        "warnings": list(decoded.warnings),
    }
    (folder / "frames.json").write_text(json.dumps(report, indent=2) + "\n")
    return len(names)
