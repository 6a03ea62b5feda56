"""What goes to a captioner beside the frames, and how an engine is given both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serve_app.engines.protocol import Prompt
from serve_app.order import Order, Span
from serve_app.preparation import Facts
from serve_app.result import span_of
from serve_app.schema import GenerationParams, Output

PIXELS_PER_TOKEN = 28 * 28  # where no profile says what frames cost


@dataclass(frozen=True, slots=True)
class Ask:
    """One question; times in seconds, ``deadline_s`` since 1970."""

    pts_seconds: tuple[float, ...]
    start_s: float
    duration_s: float
    task: str
    text: str
    params: GenerationParams
    output: Output | None
    visual_tokens: int | None
    deadline_s: float

    def prompt(self, frames: np.ndarray | None) -> Prompt:
        """As an engine takes it, with the frames that it is about, or with none."""
        pixels = 0 if frames is None else frames.size // 3
        return Prompt(
            frames,
            self.pts_seconds,
            self.duration_s,
            self.task,
            self.text,
            params=self.params,
            output=self.output,
            start_s=self.start_s,
            visual_tokens=pixels // PIXELS_PER_TOKEN if self.visual_tokens is None else self.visual_tokens,
            deadline_s=self.deadline_s,
        )


def asked(facts: Facts, order: Order, deadline_s: float) -> Ask:
    """What is asked about frames."""
    span = span_of(facts)
    return Ask(
        tuple(facts.frames.pts_seconds),
        span.start_s,
        span.duration_s,
        order.task.name,
        order.text(span),
        params=order.params,
        output=None if order.summary is not None else order.output,
        visual_tokens=facts.frames.visual_tokens,
        deadline_s=deadline_s,
    )


def summary_asked(span: Span, captions: Sequence[tuple[Span, str]], order: Order, deadline_s: float) -> Ask:
    """What is asked about the captions of windows, without frames."""
    return Ask(
        (),
        span.start_s,
        span.duration_s,
        order.task.name,
        order.summary_text(span, captions),
        params=order.params,
        output=order.output,
        visual_tokens=0,
        deadline_s=deadline_s,
    )
