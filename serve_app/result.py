"""From the parts to one caption."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.engines.protocol import Generation
from serve_app.order import Order, Span
from serve_app.preparation import Facts
from serve_app.reuse import Kept
from serve_app.schema import Caption, Captioned, EngineFacts, Reused, Timings, Workers


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
