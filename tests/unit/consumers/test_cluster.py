"""Questions to a cluster whose leaders move."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from consumers.cluster import Cluster
from consumers.settlement import Partition
from serve_app.errors import BrokerError

PLACE = Partition("video", 0)


@dataclass
class Admin:
    """Answers with offset 7, or with an error."""

    code: int | None

    def list_offsets(self, asked: dict[TopicPartition, object], **_: object) -> dict[TopicPartition, Any]:
        answers = {}
        for place in asked:
            answer: Future[object] = Future()
            if self.code is None:
                answer.set_result(SimpleNamespace(offset=7))
            else:
                answer.set_exception(KafkaException(KafkaError(self.code)))
            answers[place] = answer
        return answers


class Moved(Cluster):
    """A cluster whose first client knows an old leader, for ever."""

    def __init__(self, code: int) -> None:
        self._codes = [code, None]
        super().__init__({"bootstrap.servers": "host:1"}, 1.0)

    def _new(self) -> AdminClient:
        return cast("AdminClient", Admin(self._codes.pop(0)))


@pytest.mark.parametrize("code", [KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH])
def test_a_leader_that_moved_is_asked_by_a_new_client(code: int) -> None:
    """The old one would ask with the old leader's epoch for ever."""
    assert Moved(code).ends([PLACE], committed=True) == {PLACE: 7}


def test_other_errors_are_told_at_once() -> None:
    """Only what passes by itself is asked again."""
    with pytest.raises(BrokerError, match=r"^no offsets: .*TOPIC_AUTHORIZATION_FAILED"):
        Moved(KafkaError.TOPIC_AUTHORIZATION_FAILED).ends([PLACE], committed=True)
