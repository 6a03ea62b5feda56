"""Settings of the text that an engine writes."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from serve_app.errors import RequestInvalidError
from serve_app.schema import Closed, GenerationParams
from serve_app.schema.generation import MAX_TOKENS
from serve_app.schema.numbers import Number, Whole
from serve_app.schema.violations import refusal


class GenerationSettings(Closed):
    """How text is sampled where neither request nor task says, and how far a request may go."""

    default: GenerationParams = Field(
        default=GenerationParams(max_tokens=256, temperature=0), description="Where nothing is said."
    )
    max_tokens: Whole = Field(
        default=2048, ge=1, le=MAX_TOKENS, description="Longest answer that a request may ask for."
    )
    max_temperature: Number = Field(
        default=2, ge=0, le=2, description="Highest temperature that a request may ask for."
    )

    @model_validator(mode="after")
    def _within(self) -> Self:
        for path, value, most in self._bounded(self.default):
            if value is not None and value > most:
                raise refusal(("default", path), value, f"allowed: at most {most:g}")
        return self

    def _bounded(self, params: GenerationParams) -> tuple[tuple[str, float | None, float], ...]:
        return (
            ("max_tokens", params.max_tokens, self.max_tokens),
            ("temperature", params.temperature, self.max_temperature),
        )

    def resolved(self, asked: GenerationParams | None, task: GenerationParams) -> GenerationParams:
        """The request's over the task's over the default; ``RequestInvalidError`` beyond the limits."""
        params = task.over(self.default)
        params = params if asked is None else asked.over(params)
        for path, value, most in self._bounded(params):
            if value is not None and value > most:
                told = f"generation.{path}: {value:g} is refused; allowed here: at most {most:g}"
                raise RequestInvalidError(told)
        return params
