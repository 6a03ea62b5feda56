"""Settings: typed, frozen and closed, one small model per area, units in the names.

They are the ``args`` of the application in a Serve YAML. ``${NAME}`` and ``${NAME:-default}`` in any
value are replaced from the environment by :mod:`serve_app.config`, which also turns violations into
one sentence each. Replica counts and resources live only in the YAML's ``deployments``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from serve_app.schema import Closed, FpsSampling, Sampling, name_strategy

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
    retention_hours: int = Field(default=168, ge=1, le=87_600, description="Retention of a created topic.")
    max_message_mib: int = Field(default=8, ge=1, le=256, description="Largest record of a created topic.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [self.requests, self.captions, self.dead_letters]
        if len(set(names)) != len(names):
            raise ValueError(f"the topics must differ, found {names}")
        return self


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


class SourceSettings(Closed):
    """How videos are fetched."""

    schemes: tuple[Literal["http", "https", "file", "data"], ...] = Field(
        default=("http", "https", "file", "data"), min_length=1, description="Allowed URL schemes."
    )
    max_mib: float = Field(default=2048, gt=0, le=1_048_576, description="Largest video in MiB.")
    connect_timeout_s: float = Field(default=10, gt=0, le=300, description="To open a connection.")
    idle_timeout_s: float = Field(default=20, gt=0, le=300, description="Between two pieces of the body.")
    total_timeout_s: float = Field(default=300, gt=0, le=86_400, description="For one whole fetch.")
    max_redirects: int = Field(default=5, ge=0, le=20, description="Redirects followed.")


class GeometrySettings(Closed):
    """Size of the frames that the engine sees; aspect ratio kept, sides multiples of ``factor``.

    The rule is ``smart_resize`` of Qwen's reference code.
    """

    factor: int = Field(default=28, ge=1, le=256, description="Both sides are multiples of so many pixels.")
    min_pixels: int = Field(default=3136, ge=1, le=10**8, description="Fewest pixels per frame.")
    max_pixels: int = Field(default=200_704, ge=1, le=10**8, description="Most pixels per frame.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.factor**2 <= self.max_pixels >= self.min_pixels:
            raise ValueError(
                f"max_pixels {self.max_pixels} must be at least factor² {self.factor**2}"
                f" and min_pixels {self.min_pixels}"
            )
        return self


class DecoderSettings(Closed):
    """How frames are chosen and decoded."""

    sampling: Annotated[Sampling, BeforeValidator(name_strategy)] = Field(
        default=FpsSampling(fps=2.0, max_frames=64), description="Where a request does not say."
    )
    geometry: GeometrySettings = Field(default=GeometrySettings(), description="Frame size.")
    children: int = Field(default=1, ge=1, le=64, description="Decoding processes per replica.")
    timeout_s: float = Field(default=120, gt=0, le=86_400, description="Then the child is killed.")
    max_frames_mib: float = Field(default=1024, gt=0, le=65_536, description="Frames of one request in MiB.")


class BaselineSettings(Closed):
    """No model: states measured facts about light, colour, motion and cuts."""

    kind: Literal["baseline"] = "baseline"


class BatchSettings(Closed):
    """Micro-batches of the captioner."""

    max_batch_size: int = Field(default=16, ge=1, le=1024, description="Requests in one batch.")
    wait_ms: float = Field(default=5, ge=0, le=10_000, description="Wait for a batch to fill.")
    overlap: int = Field(default=2, ge=1, le=16, description="Batches in the engine at once.")
    timeout_s: float = Field(default=120, gt=0, le=3600, description="For one batch.")


class CaptionerSettings(Closed):
    """Engine and batches."""

    engine: BaselineSettings = Field(default=BaselineSettings(), description="What writes the captions.")
    batch: BatchSettings = Field(default=BatchSettings(), description="Micro-batches.")
    task: Literal["describe"] = Field(default="describe", description="Where a request does not say.")
    timeout_s: float = Field(
        default=300, gt=0, le=3600, description="From handing over frames to their caption, queue included."
    )


class Settings(Closed):
    """Everything that ``args`` of the application may hold."""

    broker: Broker = Field(default=EmbeddedBroker(), description="Where Kafka is.")
    topics: TopicSettings = Field(default=TopicSettings(), description="Topics.")
    consumer: ConsumerSettings = Field(default=ConsumerSettings(), description="Consumer.")
    sources: SourceSettings = Field(default=SourceSettings(), description="Sources.")
    decoder: DecoderSettings = Field(default=DecoderSettings(), description="Decoder.")
    captioner: CaptionerSettings = Field(default=CaptionerSettings(), description="Captioner.")

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


def is_secret(key: str) -> bool:
    """Whether a client property of this name holds a secret."""
    return any(word in key.lower() for word in SECRET_WORDS)
