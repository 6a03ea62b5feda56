"""An admin client whose errors are sentences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # public, but not marked as exported
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from tenacity import Retrying, retry_if_exception, retry_if_result, stop_after_delay, wait_fixed

from consumers.clients import ClientConfig
from consumers.ledger import Partition
from consumers.plans import TopicPlan, TopicShape
from serve_app.errors import BrokerError

logger = logging.getLogger("capstream.kafka")
# What goes wrong is raised; librdkafka's own lines, one per attempt, would only repeat it.
QUIET = {"log_level": 0}
LISTED_S = 10.0
MOVING = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
)


def _is_moving(error: BaseException) -> bool:
    # A partition that has just been made, or whose leader went away, has a leader again in a moment.
    return isinstance(error, KafkaException) and error.args[0].code() in MOVING


class Cluster:
    """Topics and offsets of a Kafka cluster; every method raises ``BrokerError`` where it does not answer."""

    def __init__(self, client: ClientConfig, timeout_s: float) -> None:
        self._servers = client["bootstrap.servers"]
        self._timeout_s = timeout_s
        self._last_error = ""
        self._client = client
        self._admin = self._new()

    def _new(self) -> AdminClient:
        return AdminClient({**self._client, **QUIET}, logger=logger, error_cb=self._note)

    def _renew(self, _: object) -> None:
        # After a leader moved, the client may ask with the old leader's epoch for ever.
        self._admin = self._new()

    def _note(self, error: KafkaError) -> None:
        # The first cause is told here only; what the call itself raises is a plain time-out.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - librdkafka's own codes are named so
            self._last_error = f": {error.str()}"

    def names(self) -> frozenset[str]:
        """All topics."""
        return frozenset(self._topics())

    def partitions(self, topics: Iterable[str]) -> list[Partition]:
        """All partitions of these topics; ``BrokerError`` for one that does not exist."""
        found = self._topics()
        for topic in topics:
            if topic not in found:
                raise BrokerError(f"topic {topic} does not exist on {self._servers}")
        return [Partition(topic, number) for topic in topics for number in sorted(found[topic])]

    def shapes(self, names: list[str]) -> dict[str, TopicShape]:
        """The existing ones among the names."""
        found = self._topics()
        counts = {name: found[name] for name in names if name in found}
        configs = self._configs(list(counts))
        shapes = {}
        for name, replicas in counts.items():
            config, least = configs[name], min(replicas.values(), default=0)
            shapes[name] = (
                TopicShape(len(replicas), least, refusal=config)
                if isinstance(config, str)
                else TopicShape(len(replicas), least, config)
            )
        return shapes

    def create(self, plans: list[TopicPlan]) -> list[str]:
        """Create topics and wait until they are listed; the names of those that were there after all.

        Brokers list a new topic a moment late, also one that another process created just now.
        """
        topics = [
            NewTopic(plan.name, plan.partitions, plan.replication_factor, config=dict(plan.config))
            for plan in plans
        ]
        futures = self._admin.create_topics(topics, operation_timeout=self._timeout_s) if topics else {}
        existed = []
        for name, future in futures.items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise self._sentence(error, f"topic {name} cannot be created") from error
                existed.append(name)
        self._await_listed(frozenset(futures))
        return existed

    def _await_listed(self, names: frozenset[str]) -> None:
        again = Retrying(
            retry=retry_if_result(lambda listed: not names <= listed),
            stop=stop_after_delay(LISTED_S),
            wait=wait_fixed(0.02),
            retry_error_callback=lambda _: None,
        )
        if names:
            again(self.names)

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The first offset that each partition still has."""
        return self._offsets(partitions, OffsetSpec.earliest, committed=False)

    def ends(self, partitions: Iterable[Partition], *, committed: bool) -> dict[Partition, int]:
        """The offset after the last record: the last one of all, or below any open transaction."""
        return self._offsets(partitions, OffsetSpec.latest, committed=committed)

    def first_since(self, partitions: Iterable[Partition], since_ms: int) -> dict[Partition, int | None]:
        """The first offset whose record is not older than ``since_ms`` (epoch); ``None`` without one."""
        found = self._offsets(partitions, lambda: OffsetSpec.for_timestamp(since_ms), committed=False)
        return {place: offset if offset >= 0 else None for place, offset in found.items()}

    def _offsets(
        self, partitions: Iterable[Partition], spec: Callable[[], OffsetSpec], *, committed: bool
    ) -> dict[Partition, int]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        places = [TopicPartition(place.topic, place.number) for place in partitions]

        def ask() -> dict[Partition, int]:
            specs = {tp: spec() for tp in places}
            futures = self._admin.list_offsets(specs, isolation_level=level, request_timeout=self._timeout_s)
            return {
                Partition(tp.topic, tp.partition): int(future.result(self._timeout_s).offset)
                for tp, future in futures.items()
            }

        again = Retrying(
            retry=retry_if_exception(_is_moving),
            stop=stop_after_delay(self._timeout_s),
            wait=wait_fixed(0.1),
            before_sleep=self._renew,
            reraise=True,
        )
        try:
            return again(ask) if places else {}
        except KafkaException as error:
            raise self._sentence(error, "no offsets") from error

    def _topics(self) -> dict[str, dict[int, int]]:
        # Replicas by partition by topic.
        try:
            found = self._admin.list_topics(timeout=self._timeout_s).topics
        except KafkaException as error:
            raise self._sentence(error) from error
        return {
            name: {number: len(one.replicas) for number, one in topic.partitions.items()}
            for name, topic in found.items()
        }

    def _configs(self, names: list[str]) -> dict[str, dict[str, str] | str]:
        """The configuration of each topic, or why it may not be read."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._admin.describe_configs(resources, request_timeout=self._timeout_s) if names else {}
        found: dict[str, dict[str, str] | str] = {}
        for resource, future in futures.items():
            try:
                found[resource.name] = {key: entry.value for key, entry in future.result().items()}
            except KafkaException as error:
                found[resource.name] = error.args[0].str()
        return found

    def _sentence(self, error: KafkaException, what: str = "Kafka refused") -> BrokerError:
        cause: KafkaError = error.args[0]
        unreached = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001 - librdkafka's own codes are named so
        if cause.code() in unreached:
            self._admin.poll(0)
            return BrokerError(
                f"no Kafka broker answered at {self._servers} within {self._timeout_s:g} s{self._last_error}"
            )
        return BrokerError(f"{what}: {cause.str()} ({cause.name()})")
