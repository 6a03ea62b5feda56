"""From the parts to one caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.engines.protocol import Generation
from serve_app.order import Order, Span
from serve_app.preparation import Facts, Windowed
from serve_app.reuse import Kept
from serve_app.schema import Caption, Captioned, EngineFacts, FrameFacts, Reused, Timings, Usage, Workers
from serve_app.tasks.task import Answer
from serve_app.video.coverage import over_windows

MAX_WARNINGS = 50


@dataclass(frozen=True, slots=True)
class Said:
    """What an engine said, and who and where it was."""

    generation: Generation
    engine: EngineFacts
    worker: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the frames were made: node address, and replica and process id."""

    node: str
    worker: str


@dataclass(frozen=True, slots=True)
class Clip:
    """One window of a video, which of them, and what was said of it."""

    number: int
    facts: Facts
    said: Said
    answer: Answer

    @property
    def caption(self) -> Caption:
        """As the record has it."""
        span = span_of(self.facts)
        return Caption(
            clip_index=self.number,
            start_s=span.start_s,
            end_s=span.end_s,
            pts_seconds=self.facts.frames.pts_seconds,
            text=self.answer.text,
            fields=self.answer.fields,
            finish_reason=self.said.generation.finish_reason,
        )


def span_of(facts: Facts) -> Span:
    """What the frames stand for."""
    covered = facts.coverage
    return Span(covered.start_s, max(covered.end_s, covered.start_s), len(facts.frames.pts_seconds))


def captioned(facts: Facts, said: Said, order: Order, caption_s: float, place: Place) -> Captioned:
    """One video's caption; ``caption_s`` are the seconds from handing over its frames.

    ``OutputInvalidError`` if the text has not the form that the order asks for.
    """
    answer, span, generation = order.read(said.generation.text), span_of(facts), said.generation
    caption = Caption(
        start_s=span.start_s,
        end_s=span.end_s,
        text=answer.text,
        fields=answer.fields,
        finish_reason=generation.finish_reason,
    )
    return Captioned(
        caption=answer.text,
        captions=[caption],
        fields=answer.fields,
        task=order.task.name,
        captioner=order.captioner,
        engine=said.engine,
        usage=generation.usage,
        source=facts.source,
        video=facts.video,
        frames=facts.frames,
        coverage=facts.coverage,
        warnings=list(facts.warnings),
        timings=Timings(fetch_s=facts.fetch_s, decode_s=facts.decode_s, caption_s=caption_s),
        workers=Workers(node=place.node, decoder=place.worker, captioner=said.worker),
    )


def reused(kept: Kept, place: Place) -> Captioned:
    """An earlier caption for another request of the same bytes, which says so."""
    changed = {
        "source": kept.source,
        "usage": None,
        "reused": Reused(made_ms=kept.made_ms),
        "timings": Timings(fetch_s=kept.fetch_s, decode_s=0, caption_s=0),
        "workers": Workers(node=place.node, decoder=place.worker, captioner=kept.captioned.workers.captioner),
    }
    return kept.captioned.model_copy(update=changed)


def in_windows(
    video: Windowed, clips: Sequence[Clip], summary: Said | None, order: Order, made: tuple[float, Place]
) -> Captioned:
    """One video's captions by window, at least one; ``made`` is the time from the first frames, and where.

    ``OutputInvalidError`` if the summary has not the form that the order asks for.
    """
    (caption_s, place), opened = made, video.session.opened
    text = "\n".join(clip.answer.text for clip in clips)
    whole = Answer(text) if summary is None else order.read(summary.generation.text)
    said = [clip.said for clip in clips] + ([] if summary is None else [summary])
    passed_over = len(video.windows) - len(clips)
    all_there = not passed_over and opened.asked.end_s <= opened.there.end_s
    coverages = [clip.facts.coverage for clip in clips]
    return Captioned(
        caption=whole.text,
        captions=[clip.caption for clip in clips],
        fields=whole.fields,
        task=order.task.name,
        captioner=order.captioner,
        engine=said[-1].engine,
        usage=_used([one.generation.usage for one in said]),
        source=video.fetched.facts,
        video=clips[-1].facts.video,
        frames=_frames([clip.facts.frames for clip in clips]),
        coverage=over_windows((opened.there.start_s, opened.asked.end_s), coverages, all_there=all_there),
        warnings=_warnings(clips, passed_over),
        timings=Timings(
            fetch_s=video.fetch_s + sum(clip.facts.fetch_s for clip in clips),
            decode_s=sum(clip.facts.decode_s for clip in clips),
            caption_s=caption_s,
        ),
        workers=Workers(node=place.node, decoder=place.worker, captioner=said[-1].worker),
    )


def _used(usages: Sequence[Usage | None]) -> Usage | None:
    counted = [usage for usage in usages if usage is not None]
    if not counted:
        return None
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in counted),
        completion_tokens=sum(usage.completion_tokens for usage in counted),
    )


def _frames(windows: Sequence[FrameFacts]) -> FrameFacts:
    tokens = [window.visual_tokens for window in windows if window.visual_tokens is not None]
    total = sum(tokens) if len(tokens) == len(windows) else None
    return windows[0].model_copy(update={"pts_seconds": [], "visual_tokens": total})


def _warnings(clips: Sequence[Clip], passed_over: int) -> list[str]:
    said = list(dict.fromkeys(text for clip in clips for text in clip.facts.warnings))
    if passed_over:
        total = len(clips) + passed_over
        said.insert(0, f"{passed_over} of {total} windows are lost to damage and passed over")
    more = len(said) - MAX_WARNINGS
    return [*said[:MAX_WARNINGS], f"and {more} more"] if more > 0 else said
