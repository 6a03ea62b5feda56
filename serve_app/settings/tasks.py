"""Settings of one prompt task: what is changed of it, or what it is if the name is new."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from serve_app.errors import RequestInvalidError
from serve_app.schema import Closed, GenerationParams, Output, name_output
from serve_app.tasks.template import SUMMARY_FACTS, Template


class TaskSettings(Closed):
    """A prompt task; with a name that is not known yet it is a new one, and needs a prompt."""

    prompt: str | None = Field(
        default=None,
        min_length=1,
        max_length=32_768,
        description="A template: {prompt} is the request's, {duration_s}, {start_s}, {end_s} and "
        "{frame_count} are the video's, other {names} are the request's variables.",
    )
    summary: str | None = Field(
        default=None,
        min_length=1,
        max_length=32_768,
        description="A template by which the captions of windows are put together, without frames: "
        "{captions} are theirs with their times, {window_count} is how many. A task that has one always "
        "takes windows.",
    )
    output: Annotated[Output | None, BeforeValidator(name_output)] = Field(
        default=None, description="The form that the text must have."
    )
    generation: GenerationParams = Field(
        default=GenerationParams(), description="How the text is sampled where a request does not say."
    )
    captioner: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Which captioner, where a request does not say.",
    )

    @field_validator("prompt")
    @classmethod
    def _template(cls, value: str | None) -> str | None:
        if value is not None:
            Template(value)
        return value

    @field_validator("summary")
    @classmethod
    def _of_captions(cls, value: str | None) -> str | None:
        if value is not None and "captions" not in Template(value, SUMMARY_FACTS).names:
            raise ValueError("it does not name {captions}; allowed: a template that does")
        return value

    @field_validator("output")
    @classmethod
    def _possible(cls, value: Output | None) -> Output | None:
        # The decoding process has these settings as well, and no use for what reads schemas.
        from serve_app.tasks.output import check_output  # noqa: PLC0415

        try:
            if value is not None:
                check_output(value)
        except RequestInvalidError as error:
            raise ValueError(str(error)) from error
        return value
