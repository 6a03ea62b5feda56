"""Settling in transactions, with a producer that fails in ways no broker can be asked for."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Iterable, Mapping

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from consumers.membership import is_joined
from consumers.messages import KafkaFatalError
from consumers.publishing import Report
from consumers.records import OutputRecord
from consumers.settlement import Partition, Position, Settlement, Ticket
from consumers.transactions import MAX_ABORTS, MAX_FENCED, ExactlyOnce
from consumers.transport import NotSettled, Settled, SettledLate, TooLarge

P0 = Partition("t", 0)
TICKET = Ticket(P0, 7, 1)
SETTLEMENT = Settlement({TICKET: (OutputRecord("out", b"k", b"v"),)}, {P0: Position(8, "c1:text")})
ABORTABLE = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "abort", txn_requires_abort=True)
RETRIABLE = KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, "again", retriable=True)
TIMED_OUT = KafkaError(KafkaError._TIMED_OUT, "no answer")
FENCED_ABORTABLE = KafkaError(KafkaError._FENCED, "fenced", txn_requires_abort=True)
FATAL = KafkaError(KafkaError.INVALID_TXN_STATE, "fatal", fatal=True)
EXPIRED = KafkaError(KafkaError.INVALID_PRODUCER_ID_MAPPING, "expired", fatal=True)


def group_state(generation: int, member: bytes) -> bytes:
    """As librdkafka serialises it."""
    return b"CGMDv2:" + struct.pack("<i", generation) + b"group\0" + member + b"\0\1"


class Producers:
    """Opens producers; each call of one of them fails with the next scripted error of its name."""

    def __init__(self, **errors: list[KafkaError]) -> None:
        self.errors = {name: deque(some) for name, some in errors.items()}
        self.calls: list[str] = []
        self.opened = 0
        self.reports: list[KafkaError | None] = []
        self.left = 0
        self.hangs: threading.Event | None = None

    def connect(self, within_s: float) -> Producers:
        assert within_s > 0
        self.opened += 1
        self._step("connect")
        return self

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if self.errors.get(name):
            raise KafkaException(self.errors[name].popleft())

    def begin_transaction(self) -> None:
        self._step("begin")

    def produce(
        self,
        topic: str,
        *,
        value: bytes | None,
        key: bytes | None,
        headers: list[tuple[str, str | bytes | None]],
        on_delivery: Report,
    ) -> None:
        self._step("produce")
        assert (topic, value, key, headers) == ("out", b"v", b"k", [])
        on_delivery(self.reports.pop() if self.reports else None, None)

    def poll(self, timeout: float, /) -> int:
        assert timeout > 0
        return 0

    def flush(self, timeout: float, /) -> int:
        assert timeout > 0
        return self.left

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: object, timeout: float, /
    ) -> None:
        assert timeout > 0
        assert group_metadata == group_state(3, b"me")
        assert [(tp.topic, tp.partition, tp.offset, tp.metadata) for tp in positions] == [
            ("t", 0, 8, "c1:text")
        ]
        if self.hangs is not None:
            self.hangs.wait(60)
        self._step("offsets")

    def commit_transaction(self, timeout: float, /) -> None:
        assert timeout > 0
        self._step("commit")

    def abort_transaction(self, timeout: float, /) -> None:
        assert timeout > 0
        self._step("abort")


class Group:
    """A member of the group, with what the broker says is committed."""

    def __init__(self) -> None:
        self.state: bytes = group_state(3, b"me")
        self.committed: dict[Partition, tuple[int, str]] = {P0: (0, "")}
        self.errors: deque[KafkaError] = deque()

    def consumer_group_metadata(self) -> object:
        return self.state

    def places(self, partitions: Iterable[Partition]) -> Mapping[Partition, tuple[int, str]]:
        if self.errors:
            raise KafkaException(self.errors.popleft())
        return {partition: self.committed[partition] for partition in partitions}


def settler(producers: Producers, group: Group | None = None, timeout_s: float = 5) -> ExactlyOnce:
    one = group or Group()
    return ExactlyOnce(one, producers.connect, one.places, timeout_s)


def test_one_settlement_is_one_transaction() -> None:
    """Results, offsets with their text, commit: in this order, and nothing is open afterwards."""
    producers = Producers()
    assert settler(producers).settle(SETTLEMENT) == Settled()
    assert producers.calls == ["connect", "begin", "produce", "offsets", "commit"]


@pytest.mark.parametrize("state", [group_state(-1, b""), group_state(-1, b"me"), group_state(0, b"me")])
def test_nothing_is_settled_outside_the_group(state: bytes) -> None:
    """The broker would take offsets from a member that has not joined, so they are not sent."""
    producers, group = Producers(), Group()
    group.state = state
    assert isinstance(settler(producers, group).settle(SETTLEMENT), NotSettled)
    assert producers.calls == ["connect"]


def test_group_state_of_the_real_client_is_read() -> None:
    """The client's own form is known, and one that was never in a group is not joined."""
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "group", "log_level": 0})
    try:
        assert not is_joined(consumer.consumer_group_metadata())
    finally:
        consumer.close()


def test_an_unknown_form_of_the_group_state_ends_the_process() -> None:
    """What cannot be checked is not believed."""
    with pytest.raises(KafkaFatalError, match="CGMDv9"):
        is_joined(b"CGMDv9:...")


@pytest.mark.parametrize("step", ["begin", "produce", "offsets", "commit"])
def test_what_must_be_aborted_is_aborted_and_comes_again(step: str) -> None:
    """The transaction ends, the results stay with the ledger, and the next settlement succeeds."""
    producers = Producers(**{step: [ABORTABLE]})
    one = settler(producers)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    assert producers.calls[-1] == "abort"
    assert one.settle(SETTLEMENT) == Settled()
    assert producers.opened == 1


def test_aborts_are_bounded() -> None:
    """A consumer that can only abort ends instead of trying for ever."""
    one = settler(Producers(offsets=[ABORTABLE] * (MAX_ABORTS + 1)))
    for _ in range(MAX_ABORTS):
        assert isinstance(one.settle(SETTLEMENT), NotSettled)
    with pytest.raises(KafkaFatalError, match="in a row were aborted"):
        one.settle(SETTLEMENT)


@pytest.mark.parametrize("step", ["begin", "produce", "offsets", "commit", "abort"])
def test_a_fatal_error_ends_the_process(step: str) -> None:
    """What librdkafka calls fatal, and is no fencing, leaves nothing to go on with."""
    before = {"offsets": [ABORTABLE]} if step == "abort" else {}
    producers = Producers(**{**before, step: [FATAL]})
    with pytest.raises(KafkaFatalError):
        settler(producers).settle(SETTLEMENT)
    assert producers.calls[-1] == step


@pytest.mark.parametrize("step", ["begin", "produce", "offsets", "commit", "abort", "connect"])
def test_a_fenced_producer_is_replaced_and_never_aborts(step: str) -> None:
    """Also where librdkafka calls it abortable: the broker ended the transaction, a new one holds all."""
    before = {"offsets": [ABORTABLE]} if step == "abort" else {}
    producers = Producers(**{**before, step: [FENCED_ABORTABLE]})
    one = settler(producers)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    assert producers.calls[-1] == step
    assert one.settle(SETTLEMENT) == Settled()
    assert producers.opened == 2


def test_a_fenced_commit_that_was_done_is_not_published_again() -> None:
    """Who was fenced in the middle of a commit asks the group's offsets what became of it."""
    producers, group = Producers(commit=[FENCED_ABORTABLE]), Group()
    one = settler(producers, group)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    group.committed[P0] = (8, "c1:text")
    assert one.settle(SETTLEMENT) == SettledLate(SETTLEMENT)
    assert producers.calls.count("produce") == 1


def test_who_is_fenced_again_and_again_ends() -> None:
    """Two processes with one id do not fence each other for ever."""
    one = settler(Producers(offsets=[FENCED_ABORTABLE] * (MAX_FENCED + 1)))
    for _ in range(MAX_FENCED):
        assert isinstance(one.settle(SETTLEMENT), NotSettled)
    with pytest.raises(KafkaFatalError, match="fenced"):
        one.settle(SETTLEMENT)


def test_a_request_that_does_not_keep_its_time_is_left_behind() -> None:
    """Where librdkafka waits for ever, the settlement goes on with a new producer in time."""
    producers = Producers()
    producers.hangs = threading.Event()
    one = settler(producers, timeout_s=0.01)
    try:
        assert isinstance(one.settle(SETTLEMENT), NotSettled)
        assert "abort" not in producers.calls
    finally:
        producers.hangs.set()
    producers.hangs = None
    assert settler(producers).settle(SETTLEMENT) == Settled()


def test_a_commit_that_is_only_retriable_is_committed_again() -> None:
    """Never aborted: the broker may have done it."""
    producers = Producers(commit=[RETRIABLE, RETRIABLE])
    assert settler(producers).settle(SETTLEMENT) == Settled()
    assert "abort" not in producers.calls
    assert producers.calls.count("commit") == 3


@pytest.mark.parametrize("error", [TIMED_OUT, RETRIABLE])
def test_unknown_outcome_that_was_a_commit(error: KafkaError) -> None:
    """A new producer is opened first, then the committed offsets tell, and nothing is published again."""
    producers, group = Producers(commit=[error] * 1_000_000), Group()
    one = settler(producers, group, timeout_s=0.05)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    group.committed[P0] = (8, "c1:text")
    more = Settlement({}, {P0: Position(9, "c1:more")})
    assert one.settle(more) == SettledLate(SETTLEMENT)
    assert producers.opened == 2
    assert producers.calls.count("produce") == 1


def test_unknown_outcome_that_was_none() -> None:
    """The committed offsets are as before, so the same results are published in a new transaction."""
    producers = Producers(commit=[TIMED_OUT])
    one = settler(producers)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    assert one.settle(SETTLEMENT) == Settled()
    assert producers.calls.count("produce") == 2
    assert "abort" not in producers.calls


def test_unknown_outcome_of_which_one_partition_moved_on() -> None:
    """A transaction is whole: one partition that shows it is enough, wherever the other went since."""
    p1 = Partition("t", 1)
    both = Settlement({}, {P0: Position(8, "c1:text"), p1: Position(3, "")})
    group = Group()
    one = ExactlyOnce(group, Producers().connect, group.places, 5)
    one._doubtful = both
    group.committed = {P0: (100, ""), p1: (3, "")}
    assert one.settle(SETTLEMENT) == SettledLate(both)


def test_doubt_lasts_until_the_broker_answers() -> None:
    """Nothing else is settled before it is known what became of the last transaction."""
    producers, group = Producers(commit=[TIMED_OUT], connect=[]), Group()
    one = settler(producers, group)
    one.settle(SETTLEMENT)
    producers.errors["connect"] = deque([TIMED_OUT])
    group.errors.append(TIMED_OUT)
    group.committed[P0] = (8, "c1:text")
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    assert one.settle(SETTLEMENT) == SettledLate(SETTLEMENT)
    assert producers.calls.count("begin") == 1


@pytest.mark.parametrize("step", ["begin", "produce", "offsets"])
def test_an_expired_id_is_a_new_producer(step: str) -> None:
    """After idling for long the broker has forgotten us: nothing was committed, nothing is in doubt."""
    producers = Producers(**{step: [EXPIRED]})
    one = settler(producers)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    assert one.settle(SETTLEMENT) == Settled()
    assert producers.opened == 2


@pytest.mark.parametrize("step", ["abort", "offsets"])
def test_a_request_without_answer_is_a_new_producer(step: str) -> None:
    """What librdkafka knows after a time-out is not relied on."""
    producers = Producers(offsets=[TIMED_OUT if step == "offsets" else ABORTABLE], abort=[TIMED_OUT])
    one = settler(producers)
    assert isinstance(one.settle(SETTLEMENT), NotSettled)
    assert one.settle(SETTLEMENT) == Settled()
    assert producers.opened == 2
    assert producers.calls.count("abort") == (step == "abort")


def test_records_without_answer_are_aborted() -> None:
    """A transaction is committed only when the broker has everything in it."""
    producers = Producers()
    producers.left = 1
    assert isinstance(settler(producers).settle(SETTLEMENT), NotSettled)
    assert producers.calls[-1] == "abort"


def test_too_large_records_are_named_and_nothing_is_committed() -> None:
    """The transaction is aborted, so that what stands in for them can be published with the rest."""
    producers = Producers()
    producers.reports = [KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)]
    assert settler(producers).settle(SETTLEMENT) == TooLarge((TICKET,))
    assert producers.calls[-1] == "abort"
