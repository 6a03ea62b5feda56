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
from serve_app.settings.captioner import (
    BaselineSettings,
    BatchSettings,
    CaptionerSettings,
)
from serve_app.settings.kafka import (
    BreakerSettings,
    Broker,
    ClusterBroker,
    ConsumerSettings,
    EmbeddedBroker,
    TopicSettings,
    is_secret,
    retry_topic,
)
from serve_app.settings.video import (
    DecoderSettings,
    GeometrySettings,
    SourceSettings,
)

__all__ = [
    "BaselineSettings",
    "BatchSettings",
    "BreakerSettings",
    "Broker",
    "CaptionerSettings",
    "ClusterBroker",
    "ConsumerSettings",
    "DecoderSettings",
    "EmbeddedBroker",
    "GeometrySettings",
    "Settings",
    "SourceSettings",
    "TopicSettings",
    "is_secret",
]


class Settings(Closed):
    """Everything that ``args`` of the application may hold."""

    broker: Broker = Field(default=EmbeddedBroker(), description="Where Kafka is.")
    topics: TopicSettings = Field(default=TopicSettings(), description="Topics.")
    consumer: ConsumerSettings = Field(default=ConsumerSettings(), description="Consumer.")
    sources: SourceSettings = Field(default=SourceSettings(), description="Sources.")
    decoder: DecoderSettings = Field(default=DecoderSettings(), description="Decoder.")
    captioner: CaptionerSettings = Field(default=CaptionerSettings(), description="Captioner.")

    @property
    def retry_topics(self) -> dict[str, float]:
        """The names of the retry topics and their delays in seconds, in the order of the settings."""
        requests = self.topics.requests
        return {retry_topic(requests, delay_s): delay_s for delay_s in self.consumer.retry_delays_s}

    @model_validator(mode="after")
    def _retry_topics_are_free(self) -> Self:
        if taken := sorted(self.retry_topics.keys() & {self.topics.captions, self.topics.dead_letters}):
            raise ValueError(f"{taken[0]} is a retry topic, and topics names it for results too")
        return self

    def anchored(self, folder: Path) -> Self:
        """The same with relative paths made absolute, for processes that work elsewhere."""
        if self.broker.kind == "cluster":
            return self
        broker = self.broker.model_copy(update={"data_dir": folder.absolute() / self.broker.data_dir})
        return self.model_copy(update={"broker": broker})

    def config_hash(self) -> str:
        """Twelve hexadecimal digits over the settings that decide what a caption says."""
        said = {
            "sampling": self.decoder.sampling.model_dump(mode="json"),
            "geometry": self.decoder.geometry.model_dump(mode="json"),
            "engine": self.captioner.engine.model_dump(mode="json"),
            "task": self.captioner.task,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    def shown(self) -> dict[str, object]:
        """As JSON-ready values, secrets replaced by ``***``."""
        data = self.model_dump(mode="json")
        client = data["broker"].get("client", {})
        data["broker"] |= (
            {"client": {k: "***" if is_secret(k) else v for k, v in client.items()}} if client else {}
        )
        return data
