"""vLLM in the captioner's own process: frames in, never a URL and never a file.

Its engine works in child processes. When they die, what is in flight is a transient failure, and the health
check says so ever after: Serve replaces the replica, and what its children left behind is ended by the next.
"""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from serve_app.engines.orphans import end_orphans, mark_children
from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.engines.times import Times
from serve_app.engines.turn import node_turn
from serve_app.errors import EngineRejectedError, EngineUnavailableError, Failure, SettingsError
from serve_app.schema import ChoiceOutput, JsonOutput, Output, RegexOutput, Usage
from serve_app.schema.violations import unknown

try:
    from transformers import AutoProcessor
    from vllm import SamplingParams
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.exceptions import VLLMClientError
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
except ImportError as error:
    raise SettingsError(
        f"captioner.engine.kind: 'vllm' needs the extra vllm: pip install 'capstream[vllm]' ({error})"
    ) from error

if TYPE_CHECKING:
    from vllm.outputs import RequestOutput

    from serve_app.settings import VllmSettings

GIB = 1024
# What the typed settings say; `engine_args` may not say it again.
TYPED = (
    "model",
    "revision",
    "dtype",
    "quantization",
    "max_model_len",
    "gpu_memory_utilization",
    "tensor_parallel_size",
    "enforce_eager",
    "mm_processor_cache_gb",
    "limit_mm_per_prompt",
)
AS_THEY_ARE = {"do_resize": False, "do_sample_frames": False}  # frames come at the model's size and times
MAX_SAID = 500


class VllmEngine:
    """One vLLM engine; a prompt is one chat message with one video."""

    kind: str = "vllm"

    def __init__(self, settings: VllmSettings) -> None:
        self.model: str | None = settings.model_id
        self._settings = settings
        self._args = engine_args(settings)
        self._engine: AsyncLLM | None = None
        self._processor: Any = None

    async def start(self) -> None:
        """Load, and answer once. ``SettingsError`` for arguments that vLLM refuses.

        ``EngineUnavailableError`` if it is not ready within ``start_timeout_s``.
        """
        try:
            async with asyncio.timeout(self._settings.start_timeout_s), node_turn():
                end_orphans()
                mark_children()
                self._load()
                await self._warm_up()
        except TimeoutError as error:
            late = f"vLLM was not ready within {self._settings.start_timeout_s:g} s (engine.start_timeout_s)"
            raise EngineUnavailableError(late) from error

    def _load(self) -> None:
        settings = self._settings
        try:
            self._engine = AsyncLLM.from_engine_args(self._args)
            self._processor = AutoProcessor.from_pretrained(settings.model, revision=settings.revision)
        except (ValueError, OSError) as error:
            raise SettingsError(f"vLLM refuses its settings: {str(error)[:MAX_SAID]}") from error

    async def _warm_up(self) -> None:
        frames = np.zeros((4, 112, 112, 3), np.uint8)
        (first,) = await self.generate([Prompt(frames, (0.0, 0.5, 1.0, 1.5), 2.0, "describe", "What is it?")])
        if isinstance(first, Failure):
            raise SettingsError(f"vLLM loads but does not answer: {first.message}")

    async def generate(self, prompts: Sequence[Prompt]) -> list[Outcome]:
        """Caption each; vLLM batches them itself, and one that fails does so alone."""
        return list(await asyncio.gather(*(self._one(prompt) for prompt in prompts)))

    async def _one(self, prompt: Prompt) -> Outcome:
        if self._engine is None:
            return Failure.of(EngineUnavailableError("the engine has not been started"))
        answers: list[RequestOutput] = []
        try:
            asked = self._engine.generate(self._input(prompt), sampling_of(prompt), uuid.uuid4().hex)
            answers = [answer async for answer in asked]
        except (VLLMClientError, ValueError) as error:
            said = " ".join(str(error).split())[:MAX_SAID]
            return Failure.of(EngineRejectedError(f"vLLM refuses the prompt: {said}"))
        except EngineDeadError:
            return Failure.of(EngineUnavailableError("the engine's process died"))
        except EngineGenerateError as error:
            return Failure.of(_unexpected(error))
        return _generation(answers)

    def _input(self, prompt: Prompt) -> Any:  # noqa: ANN401  one of vLLM's many prompt types
        content = [{"type": "text", "text": prompt.text}]
        if prompt.frames is not None:
            content.insert(0, {"type": "video"})
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        if prompt.frames is None:
            return {"prompt": text}
        times = dataclasses.asdict(Times.of(prompt)) | {
            "video_backend": "capstream",
            "do_sample_frames": False,
        }
        times["frames_indices"] = list(times["frames_indices"])
        return {
            "prompt": text,
            "multi_modal_data": {"video": [(prompt.frames, times)]},
            "mm_processor_kwargs": AS_THEY_ARE,
        }

    async def check_health(self) -> None:
        """Raise once the engine's processes are gone."""
        if self._engine is not None:
            await self._engine.check_health()

    async def close(self) -> None:
        """End the engine's processes."""
        if self._engine is not None:
            self._engine.shutdown()
            self._engine = None


def engine_args(settings: VllmSettings) -> AsyncEngineArgs:
    """The engine's arguments; ``SettingsError`` for those that it does not know, or that are said twice."""
    known = [field.name for field in dataclasses.fields(AsyncEngineArgs)]
    for name in settings.engine_args:
        if name in TYPED:
            raise SettingsError(f"captioner.engine.engine_args.{name}: it has a setting of its own")
        if name not in known:
            raise SettingsError(f"captioner.engine.engine_args.{name}: {unknown(name, known)}")
    further: dict[str, Any] = {
        # A video seldom comes twice, and its frames would have to be hashed to find out.
        "enable_prefix_caching": False,
        # Where blanks are free in JSON, a model may write nothing else until its tokens are used up.
        "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
    }
    try:
        return AsyncEngineArgs(
            model=settings.model,
            revision=settings.revision,
            dtype=settings.dtype,
            quantization=settings.quantization,
            max_model_len=settings.max_model_len,
            gpu_memory_utilization=settings.gpu_memory_utilization,
            tensor_parallel_size=settings.tensor_parallel_size,
            enforce_eager=settings.enforce_eager,
            mm_processor_cache_gb=settings.prompt_cache_mib / GIB,
            limit_mm_per_prompt={"video": 1, "image": 0},
            **further | settings.engine_args,
        )
    except (ValueError, TypeError) as error:
        raise SettingsError(f"captioner.engine: vLLM refuses it: {str(error)[:MAX_SAID]}") from error


def sampling_of(prompt: Prompt) -> SamplingParams:
    """The prompt's parameters in vLLM's words; ``ValueError`` or ``VLLMClientError`` for what it refuses."""
    params = prompt.params.model_dump(exclude_none=True)
    if "stop" in params:
        params["stop"] = list(params["stop"])
    return SamplingParams(
        **params,
        structured_outputs=None if prompt.output is None else _constraint(prompt.output),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _constraint(output: Output) -> StructuredOutputsParams:
    match output:
        case JsonOutput():
            return StructuredOutputsParams(json=dict(output.json_schema))
        case ChoiceOutput():
            return StructuredOutputsParams(choice=list(output.choices))
        case RegexOutput():
            return StructuredOutputsParams(regex=output.pattern)


def _unexpected(error: EngineGenerateError) -> EngineRejectedError | EngineUnavailableError:
    # What fails before the engine has it is the prompt's own fault, and vLLM wraps both alike.
    cause = error.__cause__
    if isinstance(cause, ValueError | TypeError | VLLMClientError):
        return EngineRejectedError(f"vLLM cannot take the prompt: {type(cause).__name__}")
    return EngineUnavailableError(f"vLLM failed: {type(cause).__name__}")


def _generation(answers: list[RequestOutput]) -> Outcome:
    if not answers or not answers[-1].outputs:
        return Failure.of(EngineUnavailableError("vLLM gave no answer"))
    output = answers[-1]
    first = output.outputs[0]
    usage = Usage(prompt_tokens=len(output.prompt_token_ids or ()), completion_tokens=len(first.token_ids))
    return Generation(first.text, usage, first.finish_reason or "stop")
