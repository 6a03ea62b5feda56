"""What a request may say about the text: how it is sampled, and what form it must have.

The names are those of the OpenAI API and of vLLM's ``SamplingParams``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from serve_app.schema.closed import Closed
from serve_app.schema.numbers import OptionalNumber, OptionalWhole

MAX_TOKENS = 131_072
MAX_PATTERN_CHARS = 4096


class GenerationParams(Closed):
    """How the text is sampled; what is left out comes from the task, then from the captioner's settings."""

    max_tokens: OptionalWhole = Field(
        default=None, ge=1, le=MAX_TOKENS, description="Longest answer, in tokens."
    )
    temperature: OptionalNumber = Field(
        default=None, ge=0, le=2, description="0: the likeliest token each time."
    )
    top_p: OptionalNumber = Field(
        default=None, gt=0, le=1, description="Tokens of the likeliest so much of all probability."
    )
    top_k: OptionalWhole = Field(default=None, ge=1, le=100_000, description="So many likeliest tokens.")
    min_p: OptionalNumber = Field(
        default=None, ge=0, le=1, description="Tokens at least so likely, relative to the likeliest."
    )
    presence_penalty: OptionalNumber = Field(
        default=None, ge=-2, le=2, description="Against tokens that are there already."
    )
    frequency_penalty: OptionalNumber = Field(
        default=None, ge=-2, le=2, description="Against tokens by how often they are there."
    )
    repetition_penalty: OptionalNumber = Field(
        default=None, gt=0, le=2, description="Above 1: against tokens of prompt and answer."
    )
    seed: OptionalWhole = Field(default=None, ge=0, le=2**63 - 1, description="Of the token sampling.")
    stop: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] | None = Field(
        default=None, max_length=8, description="The answer ends before any of these."
    )

    def over(self, below: GenerationParams) -> GenerationParams:
        """These, and where they say nothing, those below."""
        said = self.model_dump(exclude_none=True)
        return GenerationParams.model_validate(below.model_dump(exclude_none=True) | said)


class JsonOutput(Closed):
    """JSON that a schema allows."""

    kind: Literal["json"] = "json"
    json_schema: dict[str, JsonValue] = Field(
        description="JSON Schema, draft 2020-12; references only within it, and none to itself."
    )


class ChoiceOutput(Closed):
    """One of a few texts."""

    kind: Literal["choice"] = "choice"
    choices: tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] = Field(
        min_length=1, max_length=1024, description="The texts."
    )


class RegexOutput(Closed):
    """Text that a regular expression matches whole."""

    kind: Literal["regex"] = "regex"
    pattern: str = Field(min_length=1, max_length=MAX_PATTERN_CHARS, description="The expression.")


Output = Annotated[JsonOutput | ChoiceOutput | RegexOutput, Field(discriminator="kind")]


def name_output(data: Any) -> Any:  # noqa: ANN401  pydantic hands over whatever came in
    """``{"choices": […]}`` as ``{"kind": "choice", "choices": […]}``, and so on."""
    kinds = {"json_schema": "json", "choices": "choice", "pattern": "regex"}
    found = [kind for key, kind in kinds.items() if isinstance(data, dict) and key in data]
    return {"kind": found[0], **data} if len(found) == 1 and "kind" not in data else data
