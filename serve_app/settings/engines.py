"""Settings of the engines, told apart by ``kind``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, HttpUrl, JsonValue

from serve_app.schema import Closed
from serve_app.schema.numbers import Number, OptionalWhole, Whole
from serve_app.schema.violations import refusal


class BaselineSettings(Closed):
    """No model: states measured facts about light, colour, motion and cuts."""

    kind: Literal["baseline"] = "baseline"

    @property
    def model_id(self) -> str | None:
        """The model that runs, by which its profile is found."""
        return None


class VllmSettings(Closed):
    """vLLM in the captioner's own process; needs the extra `vllm`. Weights are read at start."""

    kind: Literal["vllm"] = "vllm"
    model: str = Field(min_length=1, max_length=512, description="Model id or folder.")
    served_as: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The id by which the model's profile is found, and which results name. Default: `model`.",
    )
    revision: str | None = Field(default=None, min_length=1, description="Of the model's repository.")
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Of weights and activations."
    )
    quantization: str | None = Field(
        default=None, min_length=1, description="Such as fp8, awq; vLLM's names."
    )
    max_model_len: OptionalWhole = Field(
        default=None,
        ge=64,
        le=10_485_760,
        description="Longest prompt with its answer. Default: the model's.",
    )
    gpu_memory_utilization: Number = Field(
        default=0.9, gt=0, le=1, description="Share of the GPU's memory; of no meaning on a CPU."
    )
    tensor_parallel_size: Whole = Field(
        default=1, ge=1, le=64, description="GPUs of one replica; its `ray_actor_options` must reserve them."
    )
    enforce_eager: bool = Field(default=False, description="No CUDA graphs: a faster start, a slower engine.")
    prompt_cache_mib: Number = Field(
        default=0,
        ge=0,
        le=1_048_576,
        description="Host memory for processed videos, for prompts that come again; 0: none.",
    )
    start_timeout_s: Number = Field(
        default=1800, gt=0, le=86_400, description="For loading and the first answer."
    )
    engine_args: dict[str, JsonValue] = Field(
        default_factory=dict, description="Further arguments of vLLM's `AsyncEngineArgs`, checked at start."
    )

    @property
    def model_id(self) -> str | None:
        """The model that runs, by which its profile is found."""
        return self.served_as or self.model


def _plain(value: HttpUrl) -> HttpUrl:
    if value.username or value.password or value.query or value.fragment:
        told = (
            "allowed: http(s)://host[:port]/path, without credentials and query: a key goes into api_key_env"
        )
        raise refusal((), None, told)
    return value


class OpenAiSettings(Closed):
    """A server that speaks the OpenAI API: vLLM, SGLang, or a hosted one."""

    kind: Literal["openai"] = "openai"
    base_url: Annotated[HttpUrl, AfterValidator(_plain)] = Field(
        description="Up to and with the version, such as http://127.0.0.1:8001/v1."
    )
    model: str = Field(min_length=1, max_length=512, description="As the server names it.")
    api_key_env: str | None = Field(
        default=None,
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        description="The captioner's environment variable that holds the key. Default: no key.",
    )
    parts: Literal["images", "video"] = Field(
        default="images",
        description="images: a JPEG for each frame, without times; video: one part with all of them and "
        "their times, which vLLM takes (`video/jpeg`) if it runs with `--trust-request-mm-kwargs`, and with "
        "`--mm-processor-kwargs '{\"do_resize\": false}'` does not scale again.",
    )
    jpeg_quality: Whole = Field(default=90, ge=1, le=95, description="Of the frames that are sent.")
    extra_body: dict[str, JsonValue] = Field(
        default_factory=dict, description="Further keys of each request, as the server defines them."
    )
    concurrency: Whole = Field(default=32, ge=1, le=4096, description="Requests of one replica at a time.")
    timeout_s: Number = Field(default=120, gt=0, le=3600, description="For one answer.")
    attempts: Whole = Field(
        default=3, ge=1, le=20, description="Of one request before it is a failure of the record's attempt."
    )

    @property
    def model_id(self) -> str | None:
        """The model that runs, by which its profile is found."""
        return self.model


class ExternalSettings(Closed):
    """An engine of another package, by an entry point of the group `capstream.engines`."""

    kind: Literal["external"] = "external"
    name: str = Field(min_length=1, max_length=64, description="Of the entry point.")
    model: str | None = Field(
        default=None, min_length=1, max_length=512, description="By which the model's profile is found."
    )
    options: dict[str, JsonValue] = Field(default_factory=dict, description="As the engine defines them.")

    @property
    def model_id(self) -> str | None:
        """The model that runs, by which its profile is found."""
        return self.model


EngineSettings = Annotated[
    BaselineSettings | VllmSettings | OpenAiSettings | ExternalSettings, Field(discriminator="kind")
]
