"""What each topic should be, and in what an existing one differs: no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from serve_app.settings import TopicSettings

MIB = 1024 * 1024
HOUR_MS = 3_600_000
FOR_EVER = -1


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as the settings ask for it; ``config`` are Kafka's own keys and values."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicShape:
    """A topic as it is; ``refusal`` says why its configuration could not be read."""

    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""


def topic_names(topics: TopicSettings, retries: Collection[str] = ()) -> list[str]:
    """The topics that the consumer reads and writes; ``retries`` are the names of the retry topics."""
    windows = [] if topics.windows is None else [topics.windows]
    return [topics.requests, topics.captions, topics.dead_letters, *windows, *retries]


def plans(topics: TopicSettings, retries: Collection[str] = ()) -> list[TopicPlan]:
    """All topics, that of the receipts included; ``retries`` are the names of the retry topics."""
    return [*(plan_of(name, topics) for name in topic_names(topics, retries)), receipts_plan(topics)]


def plan_of(name: str, topics: TopicSettings) -> TopicPlan:
    """A topic of records: deleted by age, never compacted, since equal keys are different requests."""
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(topics.retention_hours * HOUR_MS),
        "max.message.bytes": str(topics.max_message_mib * MIB),
        "min.insync.replicas": str(topics.in_sync),
    }
    return TopicPlan(name, topics.partitions, topics.replication_factor, config)


def receipts_plan(topics: TopicSettings) -> TopicPlan:
    """Receipts are kept for good: one that is lost lets its dead letter be sent again."""
    config = {"cleanup.policy": "compact", "min.insync.replicas": str(topics.in_sync)}
    return TopicPlan(topics.receipts, 1, topics.replication_factor, config)


def differences(plan: TopicPlan, shape: TopicShape) -> list[str]:
    """One sentence for each thing in which a topic is less than its plan; more is no difference."""
    name, found = f"topic {plan.name}", []
    if shape.partitions < plan.partitions:
        found.append(
            f"{name} has {shape.partitions} partitions, topics.partitions asks for {plan.partitions}"
        )
    if shape.replication_factor < plan.replication_factor:
        found.append(
            f"{name} has {shape.replication_factor} replicas, "
            f"topics.replication_factor asks for {plan.replication_factor}"
        )
    if shape.refusal:
        return [*found, f"{name} cannot be checked: {shape.refusal}"]
    return [*found, *_cleanup(name, plan, shape.config), *_numbers(name, plan, shape.config)]


def _cleanup(name: str, plan: TopicPlan, config: Mapping[str, str]) -> list[str]:
    policy = config["cleanup.policy"]
    if plan.config["cleanup.policy"] == "delete" and "compact" in policy:
        return [f"{name} is compacted: records with equal keys will vanish"]
    if plan.config["cleanup.policy"] == "compact" and policy != "compact":
        return [
            f"{name} has cleanup.policy {policy}, compact is needed: a replay that it forgets is sent again"
        ]
    return []


def _numbers(name: str, plan: TopicPlan, config: Mapping[str, str]) -> list[str]:
    found = []
    if _below(plan, config, "max.message.bytes"):
        found.append(
            f"{name} takes records up to {config['max.message.bytes']} bytes, "
            f"topics.max_message_mib asks for {int(plan.config['max.message.bytes']) // MIB}"
        )
    if _below(plan, config, "retention.ms") and int(config["retention.ms"]) != FOR_EVER:
        found.append(
            f"{name} keeps records for {int(config['retention.ms']) / HOUR_MS:g} hours, "
            f"topics.retention_hours asks for {int(plan.config['retention.ms']) // HOUR_MS}"
        )
    if _below(plan, config, "min.insync.replicas"):
        found.append(
            f"{name} has min.insync.replicas {config['min.insync.replicas']}, "
            f"topics.min_insync_replicas asks for {plan.config['min.insync.replicas']}"
        )
    return found


def _below(plan: TopicPlan, config: Mapping[str, str], key: str) -> bool:
    return key in plan.config and int(config[key]) < int(plan.config[key])
