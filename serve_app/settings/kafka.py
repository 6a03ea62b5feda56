"""Settings of the Kafka side: broker, topics, consumer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from serve_app.schema import Closed

SECRET_WORDS = ("password", "secret", "token", "credential", "key.pem", "ssl.key", "jaas")
OWNED_CLIENT_KEYS = frozenset(
    {
        "bootstrap.servers",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "partition.assignment.strategy",
        "isolation.level",
        "enable.partition.eof",
        "transactional.id",
        "enable.idempotence",
        "acks",
        "partitioner",
    }
)


class EmbeddedBroker(Closed):
    """Apache Kafka in a child process of the application: one node, loopback only."""

    kind: Literal["embedded"] = "embedded"
    port: int = Field(
        default=19092, ge=1024, le=65534, description="Port for clients; the next one is Kafka's own."
    )
    data_dir: Path = Field(default=Path(".capstream/kafka"), description="Its log; survives restarts.")
    heap_mib: int = Field(default=256, ge=128, le=65536, description="Heap of the Java process.")
    start_timeout_s: float = Field(default=60, gt=0, le=600, description="Until its port answers.")

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
    client: dict[str, str] = Field(
        default_factory=dict,
        description="Properties passed through to librdkafka (security.protocol, sasl.*, ssl.*, …); "
        "empty values are left out. Secrets come from the environment by ${NAME}.",
    )

    @field_validator("client")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := sorted(OWNED_CLIENT_KEYS & value.keys()):
            raise ValueError(f"{', '.join(taken)}: set by capstream itself, leave it out")
        return {key: text for key, text in value.items() if text}


Broker = Annotated[EmbeddedBroker | ClusterBroker, Field(discriminator="kind")]


class TopicSettings(Closed):
    """Names of the topics, and how they are created where they are missing."""

    requests: str = Field(
        default="video.requests", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="Input topic."
    )
    captions: str = Field(
        default="video.captions", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="Output topic."
    )
    dead_letters: str = Field(
        default="video.requests.dlq", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="Dead letter topic."
    )
    create: bool = Field(default=True, description="Create missing topics at start.")
    partitions: int = Field(default=6, ge=1, le=10_000, description="Partitions of a created topic.")
    replication_factor: int = Field(default=1, ge=1, le=9, description="Replicas of a created topic.")
    min_insync_replicas: int | None = Field(
        default=None,
        ge=1,
        le=9,
        description="Replicas that must have a record before it counts as written. Default: one less than "
        "replication_factor, at least 1.",
    )
    retention_hours: int = Field(default=168, ge=1, le=87_600, description="Retention of a created topic.")
    max_message_mib: int = Field(default=8, ge=1, le=256, description="Largest record of a created topic.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [self.requests, self.captions, self.dead_letters]
        if len(set(names)) != len(names):
            raise ValueError(f"the topics must differ, found {names}")
        return self

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if self.in_sync > self.replication_factor:
            raise ValueError(
                f"min_insync_replicas {self.in_sync} is above replication_factor {self.replication_factor}: "
                "nothing could be written"
            )
        return self

    @property
    def in_sync(self) -> int:
        """Replicas that must have a record before it counts as written."""
        return self.min_insync_replicas or max(1, self.replication_factor - 1)


class ConsumerSettings(Closed):
    """How requests are taken from Kafka and settled."""

    group_id: str = Field(default="capstream", min_length=1, max_length=200, description="Consumer group.")
    delivery: Literal["at_least_once"] = Field(default="at_least_once", description="The promise.")
    max_in_flight: int = Field(
        default=64,
        ge=1,
        le=20_000,
        description="Records taken and not yet settled, per replica; polling pauses.",
    )
    max_in_flight_mib: float = Field(
        default=64, gt=0, le=65_536, description="Bytes of their values in MiB, per replica."
    )
    resume_share: float = Field(
        default=0.75, gt=0, le=1, description="Fetching resumes below this share of either bound."
    )
    settle_interval_ms: int = Field(
        default=100, ge=1, le=10_000, description="Results are published and offsets committed this often."
    )
    settle_timeout_s: float = Field(default=10, gt=0, le=120, description="For one publish and commit.")
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Attempts per record before a transient failure is a dead letter.",
    )
    retry_initial_s: float = Field(default=0.5, gt=0, le=60, description="First pause between attempts.")
    retry_max_s: float = Field(default=10, gt=0, le=600, description="Longest pause between attempts.")
    record_timeout_s: float = Field(
        default=600, gt=0, le=86_400, description="For one attempt of one record."
    )
    drain_timeout_s: float = Field(default=10, ge=0, le=600, description="For work in flight at shutdown.")
    stale_after_s: float = Field(
        default=60, gt=0, le=3600, description="Unhealthy when the Kafka loop was silent for so long."
    )
    session_timeout_s: float = Field(
        default=10, ge=1, le=300, description="A dead replica's partitions move after so long."
    )


def is_secret(key: str) -> bool:
    """Whether a client property of this name holds a secret."""
    return any(word in key.lower() for word in SECRET_WORDS)
