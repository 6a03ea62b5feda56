"""Any server that speaks the OpenAI API: frames go there as pictures, and nothing else does.

The client tries again what may pass (connections, time-outs, 408, 409, 429, 5xx), as long as the server's
Retry-After says or with growing pauses; any other 4xx is final.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.engines.times import Times
from serve_app.errors import EngineRejectedError, EngineUnavailableError, Failure, SettingsError
from serve_app.schema import ChoiceOutput, JsonOutput, Output, RegexOutput, Usage
from serve_app.video.frames import Frames
from serve_app.video.outputs import base64_jpeg

try:
    from openai import APIStatusError, AsyncOpenAI, OpenAIError
except ImportError as error:
    raise SettingsError(
        f"captioner.engine.kind: 'openai' needs the extra openai: pip install 'capstream[openai]' ({error})"
    ) from error

if TYPE_CHECKING:
    from serve_app.settings import OpenAiSettings

NOT_OPENAIS = frozenset(("top_k", "min_p", "repetition_penalty"))  # vLLM's and SGLang's own
PASSING = frozenset((408, 409, 425, 429))
SERVERS_FAULT = 500
MAX_SAID = 300


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Used(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Completion(BaseModel):
    """As much of a chat completion as is needed, whatever else a server says."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Used | None = None


class OpenAiEngine:
    """One server; a prompt is one chat completion."""

    kind: str = "openai"

    def __init__(self, settings: OpenAiSettings) -> None:
        self.model: str | None = settings.model
        self._settings = settings
        self._turns = asyncio.Semaphore(settings.concurrency)
        self._client = AsyncOpenAI(
            base_url=str(settings.base_url),
            api_key=_key(settings.api_key_env),
            timeout=settings.timeout_s,
            max_retries=settings.attempts - 1,
        )

    async def start(self) -> None:
        """Ask for the model. ``SettingsError`` if the server has it not, or does not let us in.

        ``EngineUnavailableError`` if there is no answer.
        """
        try:
            found = [model.id async for model in self._client.models.list()]
        except OpenAIError as error:
            failed = _error(error)
            if isinstance(failed, EngineRejectedError):
                raise SettingsError(f"captioner.engine.base_url: {failed}") from error
            raise failed from error
        if self._settings.model not in found:
            known = ", ".join(sorted(found)[:10])
            raise SettingsError(
                f"captioner.engine.model: {self.model!r} is not served there; served: {known}"
            )

    async def generate(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        """Caption each; one that fails does so alone."""
        return list(await asyncio.gather(*(self._one(prompt) for prompt in prompts)))

    async def _one(self, prompt: Prompt) -> Outcome:
        async with self._turns:
            request = await asyncio.to_thread(request_of, prompt, self._settings)
            try:
                answer = await self._client.chat.completions.with_raw_response.create(**request)
                return _generation(_Completion.model_validate_json(answer.content))
            except OpenAIError as error:
                return Failure.of(_error(error))
            except ValidationError:
                # The client takes whatever has the right status.
                return Failure.of(EngineUnavailableError("the server's answer makes no sense"))

    async def check_health(self) -> None:
        """Always well: a server that is down is for its own keeper, and a new replica would not help."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def request_of(prompt: Prompt, settings: OpenAiSettings) -> dict[str, Any]:
    """The arguments of a chat completion."""
    params = prompt.params.model_dump(mode="json", exclude_none=True)
    extra = dict(settings.extra_body) | {key: params.pop(key) for key in NOT_OPENAIS & params.keys()}
    parts = [] if prompt.frames is None else _parts(prompt.frames, prompt, settings, extra)
    if prompt.output is not None:
        params |= _form(prompt.output, extra)
    content = [*parts, {"type": "text", "text": prompt.text}]
    messages = [{"role": "user", "content": content}]
    return {"model": settings.model, "messages": messages, **params, "extra_body": extra}


def _parts(
    pixels: np.ndarray, prompt: Prompt, settings: OpenAiSettings, extra: dict[str, Any]
) -> list[dict[str, Any]]:
    frames = Frames(pixels, np.array(prompt.pts_seconds))
    pictures = base64_jpeg(frames, settings.jpeg_quality)
    match settings.parts:
        case "images":
            return [_part("image_url", f"data:image/jpeg;base64,{one}") for one in pictures]
        case "video":
            times = asdict(Times.of(prompt)) | {"num_frames": -1}
            extra["media_io_kwargs"] = {"video": times}
            return [_part("video_url", f"data:video/jpeg;base64,{','.join(pictures)}")]
        case _:
            assert_never(settings.parts)


def _part(kind: str, url: str) -> dict[str, Any]:
    return {"type": kind, kind: {"url": url}}


def _form(output: Output, extra: dict[str, Any]) -> dict[str, Any]:
    match output:
        case JsonOutput():
            schema = {"name": "answer", "schema": output.json_schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case ChoiceOutput():
            extra["structured_outputs"] = {"choice": list(output.choices)}
        case RegexOutput():
            extra["structured_outputs"] = {"regex": output.pattern}
        case _:
            assert_never(output)
    return {}


def _generation(completion: _Completion) -> Outcome:
    first, used = completion.choices[0], completion.usage
    usage = None if used is None else Usage.model_validate(used, from_attributes=True)
    return Generation(first.message.content, usage, first.finish_reason or "stop")


def _error(error: OpenAIError) -> EngineRejectedError | EngineUnavailableError:
    match error:
        case APIStatusError(status_code=status) if status < SERVERS_FAULT and status not in PASSING:
            return EngineRejectedError(f"the server refuses it with HTTP {status}: {_said(error)}")
        case APIStatusError(status_code=status):
            return EngineUnavailableError(f"the server answers HTTP {status}")
        case _:
            return EngineUnavailableError(f"the server does not answer: {type(error).__name__}")


def _said(error: APIStatusError) -> str:
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    told = inner.get("message") if isinstance(inner, dict) else None
    return str(told)[:MAX_SAID] if told else "without saying why"


def _key(variable: str | None) -> str:
    if variable is None:
        return "none"
    if not (key := os.environ.get(variable)):
        raise SettingsError(f"captioner.engine.api_key_env: the environment variable {variable} is not set")
    return key
