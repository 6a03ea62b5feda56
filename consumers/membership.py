"""Whether this consumer is a member of its group at the moment, as the client itself says it."""

from __future__ import annotations

from typing import Protocol

from consumers.messages import KafkaFatalError

GROUP_STATE = b"CGMDv2:"


class Membership(Protocol):
    """What is used of ``confluent_kafka.Consumer`` here."""

    def consumer_group_metadata(self) -> object:
        """The group's state as this member knows it."""


def is_joined(group_metadata: object) -> bool:
    """Whether a member with a generation stands in the group's state, as librdkafka serialises it.

    The broker takes offsets from nobody in particular as well, so this must be looked at.
    """
    if not isinstance(group_metadata, bytes) or not group_metadata.startswith(GROUP_STATE):
        raise KafkaFatalError(f"the group's state is not in the form known here: {group_metadata!r}")
    rest = group_metadata.removeprefix(GROUP_STATE)
    generation = int.from_bytes(rest[:4], "little", signed=True)
    _group_id, member_id, *_ = rest[4:].split(b"\0")
    return generation >= 1 and bool(member_id)
