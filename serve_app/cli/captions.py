"""``capstream caption``: one video, here and now, without Kafka and Ray."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path

import click
from pydantic import ValidationError

from serve_app.cli.context import own_settings_of, video_of
from serve_app.schema import Captioned, CaptionRecord, CaptionRequest
from serve_app.schema.violations import dotted, plain, violations
from serve_app.settings import Settings


@click.command()
@click.argument("source", metavar="FILE|URL")
@click.option("--json", "as_json", is_flag=True, help="The whole record.")
@click.option("--prompt", help="Replaces the task's own prompt.")
@click.pass_obj
def caption(config_path: Path | None, source: str, *, as_json: bool, prompt: str | None) -> None:
    """Caption one video with the settings' sampling and engine, in this process."""
    try:
        request = CaptionRequest(id=str(uuid.uuid4()), url=video_of(source), prompt=prompt)
    except ValidationError as error:
        first = violations(error, CaptionRequest)[0]
        raise click.UsageError(f"{dotted(first.path)}: {first.sentence(plain(first.value))}") from error
    record = asyncio.run(_captioned(own_settings_of(config_path), request))
    click.echo(record.model_dump_json(by_alias=True, indent=2) if as_json else record.caption)


async def _captioned(settings: Settings, request: CaptionRequest) -> CaptionRecord:
    from serve_app.engines.protocol import Prompt  # noqa: PLC0415  decoding and numpy are needed by few commands
    from serve_app.engines.table import build_engine  # noqa: PLC0415
    from serve_app.errors import Failure  # noqa: PLC0415
    from serve_app.order import Orders  # noqa: PLC0415
    from serve_app.preparation import Preparation  # noqa: PLC0415
    from serve_app.result import Place, Said, captioned, reused, span_of  # noqa: PLC0415
    from serve_app.reuse import Kept  # noqa: PLC0415
    from serve_app.schema import EngineFacts  # noqa: PLC0415

    order = Orders(settings).of(request)
    preparation = Preparation(settings)
    engine = build_engine(order.settings.engine)
    try:
        await engine.start()
        await preparation.start()
        async with preparation.open(order) as prepared:
            if isinstance(prepared, Kept):
                return _recorded(settings, request, reused(prepared, Place("here", "here")))
            began = time.monotonic()
            span = span_of(prepared.facts)
            prompt = Prompt(
                prepared.frames,
                tuple(prepared.facts.frames.pts_seconds),
                span.duration_s,
                order.task.name,
                order.text(span),
                params=order.params,
                output=order.output,
                start_s=span.start_s,
            )
            key = prepared.key
            (outcome,) = await engine.generate([prompt])
        if isinstance(outcome, Failure):
            raise outcome.raised()
        said = Said(outcome, EngineFacts(kind=engine.kind, model=engine.model), "here")
        made = captioned(prepared.facts, said, order, time.monotonic() - began, Place("here", "here"))
        if key is not None:
            await preparation.keep(key, made)
    finally:
        await preparation.close()
        await engine.close()
    return _recorded(settings, request, made)


def _recorded(settings: Settings, request: CaptionRequest, made: Captioned) -> CaptionRecord:
    return CaptionRecord(
        id=request.id or "",
        request=None,
        attempts=1,
        config_hash=settings.config_hash(),
        metadata={},
        **{name: getattr(made, name) for name in Captioned.model_fields},
    )
