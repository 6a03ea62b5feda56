"""What the group has committed, read from brokers that do not say it at once, or say it wrongly."""

from __future__ import annotations

import logging
from collections import deque

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumers.committed import Committed
from consumers.messages import KafkaFatalError
from consumers.progress import Progress, encode
from consumers.settlement import Partition

P0 = Partition("t", 0)
PENDING = KafkaError(KafkaError._TIMED_OUT, "a transaction of the group is open")


class Place:
    """A committed offset as the client gives it, perhaps with an error of its own."""

    def __init__(self, offset: int, metadata: str | None = None, error: KafkaError | None = None) -> None:
        self.topic, self.partition = P0
        self.offset, self.metadata, self.error = offset, metadata, error


class Reader:
    """Answers with the scripted places, raises scripted errors; the log is from 5 up to 100."""

    def __init__(self, *answers: Place | KafkaError) -> None:
        self.answers = deque(answers)

    def committed(self, partitions: list[TopicPartition], /, timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        assert [(tp.topic, tp.partition) for tp in partitions] == [P0]
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, KafkaError):
            raise KafkaException(answer)
        return [answer]  # type: ignore[list-item]  # a place with an error cannot be made of the client's own

    def get_watermark_offsets(self, partition: TopicPartition, /, timeout: float) -> tuple[int, int]:
        assert timeout > 0
        assert partition.topic == "t"
        return 5, 100


def progress(*answers: Place | KafkaError, wait_s: float = 30) -> Progress:
    return Committed(Reader(*answers), wait_s).progress([P0])[P0]


def test_offset_and_text_are_read() -> None:
    """What the last owner left is what the next one has."""
    left = Progress(10, b"\0\1", seen=14)
    assert progress(Place(10, encode(left))) == left


def test_nothing_committed_is_the_first_record() -> None:
    """A new group begins with the log."""
    assert progress(Place(-1001)) == Progress(5)


def test_a_pending_transaction_is_waited_for() -> None:
    """Time-outs, and errors beside an offset, are no answer: -1001 among them is not the beginning."""
    assert progress(PENDING, Place(-1001, error=PENDING), Place(10)) == Progress(10)


def test_a_broker_that_never_says_ends_the_process() -> None:
    """Guessing an offset would lose or repeat records."""
    with pytest.raises(KafkaFatalError, match="no committed offsets within"):
        progress(PENDING, wait_s=0.01)


@pytest.mark.parametrize("text", ["of another tool", "c1:garbage", "c9:0", encode(Progress(11, b"\0\1"))])
def test_a_bad_text_skips_nothing_and_is_told(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Records are done again from the offset on, with a warning."""
    with caplog.at_level(logging.WARNING):
        assert progress(Place(10, text)) == Progress(10)
    assert "not ours" in caplog.text


def test_an_offset_outside_of_the_log_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Expired records are gone; a log that is shorter than the offset is read from its beginning."""
    assert progress(Place(3, encode(Progress(3, b"\0\1\1\1\1")))) == Progress(5, b"\1\1\1")
    assert progress(Place(101)) == Progress(5)
    assert "outside 5-100" in caplog.text
