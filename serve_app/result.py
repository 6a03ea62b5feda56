"""From the parts to one caption."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.engines.protocol import Generation
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


def captioned(facts: Facts, said: Said, task: str, caption_s: float, place: Place) -> Captioned:
    """One video's caption; ``caption_s`` are the seconds from handing over its frames."""
    text = said.generation.text
    times = facts.frames.pts_seconds
    end_s = max(times[-1], times[0] + facts.video.duration_s)
    return Captioned(
        caption=text,
        captions=[Caption(start_s=times[0], end_s=end_s, text=text)],
        task=task,
        engine=said.engine,
        usage=said.generation.usage,
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
