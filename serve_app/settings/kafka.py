"""Settings of the broker and its topics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from serve_app.schema import Closed
from serve_app.schema.numbers import Number, OptionalWhole, Whole
from serve_app.schema.violations import refusal
from serve_app.settings.client import ClientText, owned_by

SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*):(?P<port>[0-9]{1,5})")
SERVERS = "allowed: host:port, comma-separated, with ports from 1 to 65,535"
MAX_PORT = 65_535
TOPIC = r"^[A-Za-z0-9._-]{1,200}$"


class EmbeddedBroker(Closed):
    """Apache Kafka in a child process of the application: one node, loopback only."""

    kind: Literal["embedded"] = "embedded"
    port: Whole = Field(
        default=19092, ge=1024, le=65534, description="Port for clients; the next one is Kafka's own."
    )
    data_dir: Path = Field(default=Path(".capstream/kafka"), description="Its log; survives restarts.")
    heap_mib: Whole = Field(default=256, ge=128, le=65536, description="Heap of the Java process.")
    start_timeout_s: Number = Field(default=60, gt=0, le=600, description="Until its port answers.")

    @field_validator("data_dir", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        # An empty path would be the folder where the application was started.
        if value == "":
            raise ValueError("empty; allowed: a folder, or a path where one can be made")
        return value

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    @property
    def client(self) -> dict[str, str]:
        """No client properties beyond our own."""
        return {}


class ClusterBroker(Closed):
    """A Kafka cluster of one's own."""

    kind: Literal["cluster"] = "cluster"
    bootstrap_servers: str = Field(min_length=1, description="host:port, comma-separated.")
    client: dict[str, ClientText] = Field(
        default_factory=dict,
        description="Properties passed through to librdkafka (security.protocol, sasl.*, ssl.*, …); "
        "empty values are left out. Secrets come from the environment by ${NAME}, and in no other way.",
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _reachable(cls, value: str) -> str:
        for server in value.split(","):
            match = SERVER.fullmatch(server.strip())
            if match is None or not 1 <= int(match["port"]) <= MAX_PORT:
                raise refusal((), server.strip().rpartition("@")[2], SERVERS)
        return value

    @field_validator("client")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        for key, text in value.items():
            if told := owned_by(key):
                raise refusal((key,), text, told)
        return {key: text for key, text in value.items() if text}


Broker = Annotated[EmbeddedBroker | ClusterBroker, Field(discriminator="kind")]


class TopicSettings(Closed):
    """Names of the topics, and how they are created where they are missing."""

    requests: str = Field(default="video.requests", pattern=TOPIC, description="Input topic.")
    captions: str = Field(default="video.captions", pattern=TOPIC, description="Output topic.")
    dead_letters: str = Field(default="video.requests.dlq", pattern=TOPIC, description="Dead letter topic.")
    windows: str | None = Field(
        default=None,
        pattern=TOPIC,
        description="Topic of the captions of windows, as they finish, such as video.captions.windows. "
        "Default: none, they are in the whole video's record alone.",
    )
    create: bool = Field(default=True, description="Create missing topics at start.")
    partitions: Whole = Field(default=6, ge=1, le=10_000, description="Partitions of a created topic.")
    replication_factor: Whole = Field(default=1, ge=1, le=9, description="Replicas of a created topic.")
    min_insync_replicas: OptionalWhole = Field(
        default=None,
        ge=1,
        le=9,
        description="Replicas that must have a record before it counts as written. Default: one less than "
        "replication_factor, at least 1.",
    )
    retention_hours: Whole = Field(default=168, ge=1, le=87_600, description="Retention of a created topic.")
    max_message_mib: Whole = Field(default=8, ge=1, le=256, description="Largest record of a created topic.")

    @field_validator("requests", "captions", "dead_letters", "windows")
    @classmethod
    def _no_folder(cls, value: str | None) -> str | None:
        if value in (".", ".."):
            raise ValueError("Kafka has no topic of this name; allowed: any other of the pattern " + TOPIC)
        return value

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if self.in_sync > self.replication_factor:
            raise ValueError(
                f"min_insync_replicas {self.in_sync} is above replication_factor {self.replication_factor}: "
                "nothing could be written"
            )
        return self

    @property
    def receipts(self) -> str:
        """Where replay notes which dead letters it has sent."""
        return f"{self.dead_letters}.replayed"

    @property
    def in_sync(self) -> int:
        """Replicas that must have a record before it counts as written."""
        return self.min_insync_replicas or max(1, self.replication_factor - 1)


def retry_topic(requests: str, delay_s: float) -> str:
    """The topic of records that wait for so long: ``video.requests.retry.5s``, ``….retry.500ms``."""
    delay_ms = round(delay_s * 1000)
    return f"{requests}.retry.{delay_ms}ms" if delay_ms % 1000 else f"{requests}.retry.{delay_ms // 1000}s"
