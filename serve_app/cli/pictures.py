"""``capstream frames``: the frames that sampling chooses, as pictures with their times."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serve_app.cli.context import own_settings_of, video_of
from serve_app.cli.numbers import END, EVERY, FPS, NUM_FRAMES, START
from serve_app.schema import FpsSampling, IntervalSampling, NumFramesSampling, SourceFacts
from serve_app.settings import Settings

if TYPE_CHECKING:
    from serve_app.video.job import Decoded, Shot

STRATEGIES = {"fps": "--fps", "num_frames": "--num-frames", "every_s": "--every"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which frames are asked for, and how large; ``None`` is not said."""

    fps: float | None
    num_frames: int | None
    every_s: float | None
    start_s: float | None
    end_s: float | None
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
@click.option("--start", "start_s", type=START, help="First second, on the container's timeline.")
@click.option("--end", "end_s", type=END, help="Second to stop before.")
@click.option("--width", type=click.IntRange(1, 16384), help="Pixels. Default: as the video is shown.")
@click.option("--height", type=click.IntRange(1, 16384), help="Pixels. Default: as the video is shown.")
@click.pass_obj
def frames(config_path: Path | None, /, source: str, folder: Path, **asked: float | None) -> None:
    """Write the chosen frames as PNG files, and frames.json with their times."""
    from serve_app.video.geometry import FixedSize  # noqa: PLC0415  decoding is needed by few commands
    from serve_app.video.job import Shot  # noqa: PLC0415

    choice = Choice(**asked)  # type: ignore[arg-type]  # click has converted each by its option's type
    if choice.start_s is not None and choice.end_s is not None and choice.end_s <= choice.start_s:
        raise click.UsageError(f"--end {choice.end_s:g} must be above --start {choice.start_s:g}")
    settings = own_settings_of(config_path)
    shot = Shot(
        _sampling(choice, settings), choice.start_s, choice.end_s, FixedSize(choice.width, choice.height)
    )
    url = video_of(source)
    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = asyncio.run(_write(settings, url, shot, folder))
    click.echo(f"{written} frames in {folder}")


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror or error}") from error


def _sampling(choice: Choice, settings: Settings) -> FpsSampling | NumFramesSampling | IntervalSampling:
    said = [option for name, option in STRATEGIES.items() if getattr(choice, name) is not None]
    if len(said) > 1:
        raise click.UsageError("give one of --fps, --num-frames and --every")
    if choice.fps is not None:
        return FpsSampling(fps=choice.fps, max_frames=4096)
    if choice.num_frames is not None:
        return NumFramesSampling(num_frames=choice.num_frames)
    if choice.every_s is not None:
        return IntervalSampling(every_s=choice.every_s, max_frames=4096)
    return settings.decoder.sampling


async def _write(settings: Settings, url: str, shot: Shot, folder: Path) -> int:
    from serve_app.sources.fetch import Fetcher  # noqa: PLC0415  decoding is needed by few commands
    from serve_app.video.job import DecodeJob  # noqa: PLC0415
    from serve_app.video.sandbox import Sandbox  # noqa: PLC0415

    fetcher = Fetcher(settings.sources)
    sandbox = Sandbox.of(settings.decoder.model_copy(update={"children": 1}))
    try:
        await sandbox.start()
        async with fetcher.fetch(url) as fetched, sandbox.decode(DecodeJob(fetched.path, shot)) as decoded:
            with _writing_to(folder):
                return save(decoded, fetched.facts, folder)
    finally:
        await sandbox.close()
        await fetcher.close()


def save(decoded: Decoded, source: SourceFacts, folder: Path) -> int:
    """Write the pictures and ``frames.json``; returns how many there are."""
    from PIL import Image  # noqa: PLC0415  needed here only

    names = [f"frame-{index:05d}.png" for index in range(len(decoded.frames.pts_seconds))]
    for name, picture in zip(names, decoded.frames.data, strict=True):
        Image.fromarray(picture).save(folder / name)
    times = decoded.frames.pts_seconds.tolist()
    _, height, width, _ = decoded.frames.data.shape
    report = {
        "source": source.model_dump(),
        "frames": [{"file": name, "pts_seconds": at} for name, at in zip(names, times, strict=True)],
        "width": width,
        "height": height,
        "stream": decoded.video.stream,
        "rotation": decoded.video.rotation,
        "video": decoded.video.model_dump(),
        "warnings": list(decoded.warnings),
    }
    (folder / "frames.json").write_text(json.dumps(report, indent=2) + "\n")
    return len(names)
