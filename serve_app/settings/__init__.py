"""Settings: typed, frozen and closed, one small model per area, units in the names.

They are the ``args`` of the application in a Serve YAML. ``${NAME}`` and ``${NAME:-default}`` in any
value are replaced from the environment by :mod:`serve_app.config`, which also turns violations into
one sentence each. Replica counts and resources live only in the YAML's ``deployments``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from serve_app.schema import Closed
from serve_app.schema.violations import refusal
from serve_app.settings.cache import CacheSettings
from serve_app.settings.captioner import (
    DEFAULT_ONGOING_REQUESTS,
    BaselineSettings,
    BatchSettings,
    CaptionerSettings,
)
from serve_app.settings.client import holds_credentials, is_secret
from serve_app.settings.consumer import BreakerSettings, ConsumerSettings
from serve_app.settings.kafka import Broker, ClusterBroker, EmbeddedBroker, TopicSettings, retry_topic
from serve_app.settings.profile import ModelProfile
from serve_app.settings.sources import SourceSettings
from serve_app.settings.video import DecoderSettings, GeometrySettings, LimitSettings

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
    "GeometrySettings",
    "LimitSettings",
    "ModelProfile",
    "Settings",
    "SourceSettings",
    "TopicSettings",
    "holds_credentials",
    "is_secret",
]


class Settings(Closed):
    """Everything that ``args`` of the application may hold."""

    broker: Broker = Field(default=EmbeddedBroker(), description="Where Kafka is.")
    topics: TopicSettings = Field(default=TopicSettings(), description="Topics.")
    consumer: ConsumerSettings = Field(default=ConsumerSettings(), description="Consumer.")
    sources: SourceSettings = Field(default=SourceSettings(), description="Sources.")
    cache: CacheSettings = Field(default=CacheSettings(), description="Cache.")
    decoder: DecoderSettings = Field(default=DecoderSettings(), description="Decoder.")
    captioner: CaptionerSettings = Field(default=CaptionerSettings(), description="Captioner.")

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
        for key in ("requests", "captions", "dead_letters"):
            name = getattr(topics, key)
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
        """The profile of the model that captions; ``None``: ``decoder.sampling`` and ``decoder.geometry``."""
        return self.decoder.profile_for(self.captioner.engine.model_id)

    def config_hash(self) -> str:
        """Twelve hexadecimal digits over the settings that decide what a caption says."""
        said: dict[str, object] = {
            "sampling": self.decoder.sampling.model_dump(mode="json"),
            "geometry": self.decoder.geometry.model_dump(mode="json"),
            "max_sampled_frames": self.decoder.max_sampled_frames,
            "on_damage": self.decoder.on_damage,
            "engine": self.captioner.engine.model_dump(mode="json"),
            "task": self.captioner.task,
        }
        if self.decoder.fallback != "none":
            said["fallback"] = self.decoder.fallback
        if self.profile is not None:
            said["profile"] = self.profile.model_dump(mode="json")
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

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
