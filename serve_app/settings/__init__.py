"""Settings: typed, frozen and closed, one small model per area, units in the names.

They are the ``args`` of the application in a Serve YAML. ``${NAME}`` and ``${NAME:-default}`` in any
value are replaced from the environment by :mod:`serve_app.config`, which also turns violations into
one sentence each. Replica counts and resources live only in the YAML's ``deployments``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from serve_app.errors import RequestInvalidError
from serve_app.schema import Closed
from serve_app.schema.violations import refusal
from serve_app.settings.cache import CacheSettings
from serve_app.settings.captioner import (
    DEFAULT_ONGOING_REQUESTS,
    BatchSettings,
    CaptionerSettings,
)
from serve_app.settings.client import holds_credentials, is_secret
from serve_app.settings.consumer import BreakerSettings, ConsumerSettings
from serve_app.settings.engines import (
    BaselineSettings,
    EngineSettings,
    ExternalSettings,
    OpenAiSettings,
    VllmSettings,
)
from serve_app.settings.generation import GenerationSettings
from serve_app.settings.kafka import Broker, ClusterBroker, EmbeddedBroker, TopicSettings, retry_topic
from serve_app.settings.profile import ModelProfile
from serve_app.settings.sources import SourceSettings
from serve_app.settings.tasks import TaskSettings
from serve_app.settings.video import DecoderSettings, GeometrySettings, LimitSettings
from serve_app.settings.windows import WindowSettings
from serve_app.tasks.table import installed

__all__ = [
    "DEFAULT_ONGOING_REQUESTS",
    "BaselineSettings",
    "BatchSettings",
    "BreakerSettings",
    "Broker",
    "CacheSettings",
    "CaptionerSettings",
    "ClusterBroker",
    "ConsumerSettings",
    "DecoderSettings",
    "EmbeddedBroker",
    "EngineSettings",
    "ExternalSettings",
    "GenerationSettings",
    "GeometrySettings",
    "LimitSettings",
    "ModelProfile",
    "OpenAiSettings",
    "Settings",
    "SourceSettings",
    "TaskSettings",
    "TopicSettings",
    "VllmSettings",
    "WindowSettings",
    "deployment_of",
    "holds_credentials",
    "is_secret",
    "path_of",
]


CaptionerName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]{0,31}$")]
TaskName = Annotated[str, Field(pattern="^[a-z][a-z0-9_-]{0,63}$")]


def deployment_of(captioner: str | None) -> str:
    """What a captioner's deployment is called in the Serve YAML."""
    return "Captioner" if captioner is None else f"Captioner-{captioner}"


def path_of(captioner: str | None) -> tuple[str, ...]:
    """Where a captioner stands in the settings."""
    return ("captioner",) if captioner is None else ("captioners", captioner)


class Settings(Closed):
    """Everything that ``args`` of the application may hold."""

    broker: Broker = Field(default=EmbeddedBroker(), description="Where Kafka is.")
    topics: TopicSettings = Field(default=TopicSettings(), description="Topics.")
    consumer: ConsumerSettings = Field(default=ConsumerSettings(), description="Consumer.")
    sources: SourceSettings = Field(default=SourceSettings(), description="Sources.")
    cache: CacheSettings = Field(default=CacheSettings(), description="Cache.")
    decoder: DecoderSettings = Field(default=DecoderSettings(), description="Decoder.")
    windows: WindowSettings = Field(default=WindowSettings(), description="Windows of long videos.")
    captioner: CaptionerSettings = Field(default=CaptionerSettings(), description="Captioner.")
    captioners: dict[CaptionerName, CaptionerSettings] = Field(
        default_factory=dict,
        max_length=32,
        description="Further captioners by name, with the keys of `captioner`; each is a deployment called "
        "Captioner-NAME. A request or a task picks one.",
    )
    tasks: dict[TaskName, TaskSettings] = Field(
        default_factory=dict, max_length=256, description="Prompt tasks: changed, or new."
    )

    @property
    def retry_topics(self) -> dict[str, float]:
        """The names of the retry topics and their delays in seconds, in the order of the settings."""
        requests = self.topics.requests
        return {retry_topic(requests, delay_s): delay_s for delay_s in self.consumer.retry_delays_s}

    @model_validator(mode="after")
    def _topics_apart(self) -> Self:
        topics = self.topics
        made = [
            *((name, "a retry topic") for name in self.retry_topics),
            (topics.receipts, "the receipts' topic"),
        ]
        # Kafka's metrics write a dot as an underscore, and Kafka refuses the second of two such names.
        seen = {name.replace(".", "_"): whose for name, whose in made}
        for key in ("requests", "captions", "dead_letters", "windows"):
            if (name := getattr(topics, key)) is None:
                continue
            whose = seen.setdefault(name.replace(".", "_"), f"topics.{key}")
            if whose != f"topics.{key}":
                told = f"the name of {whose}, perhaps but for . and _; allowed: another name"
                raise refusal(("topics", key), name, told)
        return self

    @model_validator(mode="after")
    def _one_node(self) -> Self:
        factor = self.topics.replication_factor
        if self.broker.kind == "embedded" and factor > 1:
            told = "allowed: 1, since the embedded broker is one node"
            raise refusal(("topics", "replication_factor"), factor, told)
        return self

    @model_validator(mode="after")
    def _known_tasks(self) -> Self:
        known = installed().keys()
        for name, task in self.tasks.items():
            if name not in known and task.prompt is None:
                told = f"a new task needs a prompt; those known: {', '.join(sorted(known))}"
                raise refusal(("tasks", name), name, told)
            if task.captioner is not None and task.captioner not in self.captioners:
                told = f"allowed: {', '.join(self.captioners) or 'none, since captioners names none'}"
                raise refusal(("tasks", name, "captioner"), task.captioner, told)
        for own, captioner in self.named_captioners.items():
            if captioner.task not in {*known, *self.tasks}:
                told = f"allowed: {', '.join(sorted({*known, *self.tasks}))}"
                raise refusal((*path_of(own), "task"), captioner.task, told)
        return self

    @property
    def named_captioners(self) -> dict[str | None, CaptionerSettings]:
        """All captioners by name; the default one has none."""
        every: dict[str | None, CaptionerSettings] = {None: self.captioner}
        return every | {**self.captioners}

    def captioner_named(self, name: str | None) -> CaptionerSettings:
        """The captioner of a name, the default one without; ``RequestInvalidError`` if there is none."""
        if name is None:
            return self.captioner
        if name not in self.captioners:
            known = ", ".join(self.captioners) or "none has a name"
            raise RequestInvalidError(f"captioner {name!r} is not known; known: {known}")
        return self.captioners[name]

    def anchored(self, folder: Path) -> Self:
        """The same with relative paths made absolute, for processes that work elsewhere."""
        here = folder.absolute()
        roots = tuple(here / root for root in self.sources.file_roots)
        moved: dict[str, object] = {
            "sources": self.sources.model_copy(update={"file_roots": roots}),
            "cache": self.cache.model_copy(update={"folder": here / self.cache.folder}),
        }
        if self.broker.kind == "embedded":
            moved["broker"] = self.broker.model_copy(update={"data_dir": here / self.broker.data_dir})
        return self.model_copy(update=moved)

    @property
    def profile(self) -> ModelProfile | None:
        """The default captioner's model's; ``None``: ``decoder.sampling`` and ``decoder.geometry``."""
        return self.profile_with(self.captioner)

    def profile_with(self, captioner: CaptionerSettings) -> ModelProfile | None:
        """The profile of the model with which a captioner captions."""
        return self.decoder.profile_for(captioner.engine.model_id)

    def config_hash(self) -> str:
        """Twelve hexadecimal digits over the settings that decide what a caption says."""
        said: dict[str, object] = {
            "sampling": self.decoder.sampling.model_dump(mode="json"),
            "geometry": self.decoder.geometry.model_dump(mode="json"),
            "max_sampled_frames": self.decoder.max_sampled_frames,
            "on_damage": self.decoder.on_damage,
            "windows": self.windows.model_dump(mode="json", exclude={"in_flight", "most"}),
            "tasks": {name: task.model_dump(mode="json") for name, task in self.tasks.items()},
            "captioners": {name or "": self._deciding(one) for name, one in self.named_captioners.items()},
        }
        if self.decoder.fallback != "none":
            said["fallback"] = self.decoder.fallback
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    def _deciding(self, captioner: CaptionerSettings) -> dict[str, object]:
        profile = self.profile_with(captioner)
        return {
            **captioner.model_dump(mode="json", include={"engine", "task", "generation"}),
            "profile": None if profile is None else profile.model_dump(mode="json"),
        }

    def shown(self) -> dict[str, object]:
        """As JSON-ready values, secrets replaced by ``***``."""
        data = self.model_dump(mode="json")
        client = data["broker"].get("client", {})
        data["broker"] |= (
            {"client": {k: "***" if is_secret(k) or holds_credentials(v) else v for k, v in client.items()}}
            if client
            else {}
        )
        return data
