"""What is refused when a consumer starts: a broker that cannot do what the settings promise."""

from __future__ import annotations

from confluent_kafka import KafkaException

from serve_app.errors import SettingsError

MOCK_CLUSTER = "mockCluster"
ADVICE = "set consumer.delivery: at_least_once, or use a broker with transactions"


def refuse_mock(cluster_id: str | None, servers: str) -> None:
    """Raise ``SettingsError`` for librdkafka's mock cluster.

    It takes every call of a transaction, delivers aborted records to readers and keeps no offsets.
    """
    if (cluster_id or "").startswith(MOCK_CLUSTER):
        raise SettingsError(
            f"consumer.delivery: exactly_once is not possible at {servers}: it is librdkafka's mock cluster, "
            f"whose transactions are none; {ADVICE}"
        )


def no_transactions(servers: str, error: KafkaException) -> SettingsError:
    """The refusal where a producer of transactions could not be opened."""
    cause = error.args[0]
    return SettingsError(
        f"consumer.delivery: exactly_once is not possible at {servers}: "
        f"{cause.str().rstrip('.')} ({cause.name()}); {ADVICE}"
    )
