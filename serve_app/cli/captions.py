"""``capstream caption``: one video, here and now, without Kafka and Ray."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import click
from pydantic import ValidationError

from serve_app.cli.context import own_settings_of, video_of
from serve_app.cli.numbers import Number
from serve_app.schema import Captioned, CaptionRecord, CaptionRequest
from serve_app.schema.violations import dotted, plain, violations
from serve_app.settings import Settings

LIST_FPS = Number(low=1e-6, high=1000)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="FILE|URL…")
@click.option(
    "--fps", type=LIST_FPS, help="The sources are images, the frames of one video: so many a second."
)
@click.option("--json", "as_json", is_flag=True, help="The whole record.")
@click.option("--prompt", help="Replaces the task's own prompt, or fills {prompt} in it.")
@click.option("--task", help="Prompt task; default from the settings.")
@click.pass_obj
def caption(
    config_path: Path | None,
    sources: tuple[str, ...],
    fps: float | None,
    *,
    as_json: bool,
    prompt: str | None,
    task: str | None,
) -> None:
    """Caption one video, or one list of images, with the settings' sampling and engine, in this process."""
    urls = [video_of(source) for source in sources]
    if fps is None and len(urls) > 1:
        raise click.UsageError("several images are one video if --fps says how many of them are a second")
    source = {"url": urls[0]} if fps is None else {"frames": {"urls": urls, "fps": fps}}
    asked = {"id": str(uuid.uuid4()), "prompt": prompt, "task": task, **source}
    try:
        request = CaptionRequest.model_validate(asked)
    except ValidationError as error:
        first = violations(error, CaptionRequest)[0]
        raise click.UsageError(f"{dotted(first.path)}: {first.sentence(plain(first.value))}") from error
    record = asyncio.run(_captioned(own_settings_of(config_path), request))
    click.echo(record.model_dump_json(by_alias=True, indent=2) if as_json else record.caption)


async def _captioned(settings: Settings, request: CaptionRequest) -> CaptionRecord:
    from serve_app.alone import caption_alone  # noqa: PLC0415  decoding and numpy are needed by few commands

    return _recorded(settings, request, await caption_alone(settings, request))


def _recorded(settings: Settings, request: CaptionRequest, made: Captioned) -> CaptionRecord:
    return CaptionRecord(
        id=request.id or "",
        request=None,
        attempts=1,
        config_hash=settings.config_hash(),
        metadata={},
        **{name: getattr(made, name) for name in Captioned.model_fields},
    )
