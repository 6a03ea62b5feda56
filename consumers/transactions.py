"""Settling in transactions: results and offsets become visible together, or not at all.

A transaction is opened only when everything that it holds is at hand, and lasts some milliseconds. The
group's state is read in the same step in which the ledger says what is ours, since the broker checks the
membership, never which partitions a member owns.

What a transaction may end with, and what follows:

- committed                           settled
- to be aborted                       aborted; the same results come again with the next settlement
- a commit that is only to be retried committed again, never aborted: it may have been done
- no answer, the id has expired, or the producer is fenced (which librdkafka may call abortable)
                                      a new producer. Opening it ends what the old one left, and then the
                                      group's committed offsets say whether that was a commit
- fatal, or fenced again and again    the process must end

Nobody else has our id (:mod:`consumers.identity`), so what fences us is the broker itself: it ends a
transaction that lasted too long, as one does while the broker is away, by giving the id a new epoch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumers.at_least_once import offsets_of
from consumers.deadline import Deadline
from consumers.membership import Membership, is_joined
from consumers.messages import KafkaFatalError
from consumers.publishing import RecordProducer, publish
from consumers.settlement import Partition, Settlement
from consumers.transport import NotSettled, Settled, SettledLate, SettleOutcome, TooLarge

log = logging.getLogger(__name__)

# Names of librdkafka's own codes begin with an underscore and are public.
FENCED = (
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
)
TIMED_OUT = KafkaError._TIMED_OUT  # noqa: SLF001
EXPIRED = (KafkaError.INVALID_PRODUCER_ID_MAPPING, KafkaError.UNKNOWN_PRODUCER_ID)
PAUSE_S = 0.05
MAX_ABORTS = 20
"""Transactions aborted in a row before the process gives up."""
MAX_FENCED = 5
"""Producers fenced in a row before the process gives up: somebody has our id after all."""


class TransactionProducer(RecordProducer, Protocol):
    """What is used of ``confluent_kafka.Producer`` here."""

    def begin_transaction(self) -> None:
        """Begin; nothing is sent yet."""

    def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: object, timeout: float, /
    ) -> None:
        """Commit the group's offsets with the transaction."""

    def commit_transaction(self, timeout: float, /) -> None:
        """Make all of it visible."""

    def abort_transaction(self, timeout: float, /) -> None:
        """Make nothing of it visible."""


Connect = Callable[[float], TransactionProducer]
Places = Callable[[Iterable[Partition]], Mapping[Partition, tuple[int, str]]]


class ExactlyOnce:
    """A settlement takes ``timeout_s`` at most, and an abort after it as long again.

    ``connect`` opens a producer and ends what its predecessor left, within so many seconds; ``places`` asks
    what is committed.
    """

    def __init__(self, group: Membership, connect: Connect, places: Places, timeout_s: float) -> None:
        self._group = group
        self._connect = connect
        self._places = places
        self._timeout_s = timeout_s
        self._producer: TransactionProducer | None = None
        self._doubtful: Settlement | None = None
        self._aborts = 0
        self._fenced = 0

    def open(self) -> None:
        """Open the producer now, so that a broker without transactions is known; ``KafkaException``."""
        self._opened(Deadline(self._timeout_s))

    def settle(self, settlement: Settlement) -> SettleOutcome:
        """Publish and commit in one transaction; ``KafkaFatalError`` where the process must end."""
        deadline = Deadline(self._timeout_s)
        try:
            producer = self._opened(deadline)
            if self._doubtful is not None:
                earlier, committed = self._doubtful, self._was_committed(self._doubtful)
                self._doubtful = None
                if committed:
                    return SettledLate(earlier)
        except KafkaException as error:
            return self._not_yet(error)
        group_metadata = self._group.consumer_group_metadata()
        if not is_joined(group_metadata):
            return NotSettled("this consumer is not in its group at the moment")
        if deadline.is_over:
            return NotSettled("no time was left after a new producer was opened")
        return self._transact(producer, settlement, group_metadata, deadline)

    def close(self) -> None:
        """Forget the producer; no transaction is open between two settlements."""
        self._producer = None

    def _transact(
        self,
        producer: TransactionProducer,
        settlement: Settlement,
        group_metadata: object,
        deadline: Deadline,
    ) -> SettleOutcome:
        try:
            producer.begin_transaction()
            delivery = publish(producer, settlement.outputs, deadline.left_s)
            if delivery.error is not None:
                return self._failed(producer, delivery.error)
            if delivery.too_large:
                self._abort(producer, "a record is too large")
                return TooLarge(tuple(delivery.too_large))
            if delivery.left:
                return self._abort(producer, f"{delivery.left} records were not acknowledged in time")
            offsets = offsets_of(settlement.positions)
            deadline.call(
                lambda: producer.send_offsets_to_transaction(offsets, group_metadata, deadline.left_s)
            )
        except KafkaException as error:
            return self._failed(producer, error.args[0])
        except TimeoutError as error:
            return self._replace(f"the offsets had no answer: {error}")
        return self._commit(producer, settlement, deadline)

    def _commit(
        self, producer: TransactionProducer, settlement: Settlement, deadline: Deadline
    ) -> SettleOutcome:
        while True:
            try:
                producer.commit_transaction(deadline.left_s)
            except KafkaException as error:
                cause: KafkaError = error.args[0]
                if cause.code() in FENCED:
                    self._doubtful = settlement
                    return self._fence(cause)
                if cause.fatal():
                    _give_up(cause)
                if cause.txn_requires_abort():
                    return self._failed(producer, cause)
                if cause.retriable() and not deadline.is_over:
                    producer.poll(PAUSE_S)
                    continue
                self._doubtful = settlement
                return self._replace(f"nobody knows whether it was committed: {cause.str()}")
            self._aborts = self._fenced = 0
            return Settled()

    def _failed(self, producer: TransactionProducer, cause: KafkaError) -> NotSettled:
        """Before the commit: nothing of the transaction can have become visible."""
        if cause.code() in EXPIRED:
            return self._replace(f"the broker has forgotten this producer: {cause.str()}")
        if cause.code() in FENCED:
            return self._fence(cause)
        if cause.fatal():
            _give_up(cause)
        if cause.code() == TIMED_OUT:
            return self._replace(f"a request of the transaction had no answer: {cause.str()}")
        return self._abort(producer, cause.str())

    def _abort(self, producer: TransactionProducer, reason: str) -> NotSettled:
        self._aborts += 1
        if self._aborts > MAX_ABORTS:
            raise KafkaFatalError(
                f"{self._aborts} transactions in a row were aborted, this one for: {reason}"
            )
        try:
            producer.abort_transaction(self._timeout_s)
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            if cause.code() in FENCED:
                return self._fence(cause)
            if cause.fatal() and cause.code() not in EXPIRED:
                _give_up(cause)
            return self._replace(f"{reason}; and it could not be aborted: {cause.str()}")
        return NotSettled(reason)

    def _replace(self, reason: str) -> NotSettled:
        # After a request that timed out librdkafka's own state cannot be trusted.
        self._producer = None
        return NotSettled(reason)

    def _fence(self, cause: KafkaError) -> NotSettled:
        self._fenced += 1
        if self._fenced > MAX_FENCED:
            _give_up(cause)
        return self._replace(f"the broker ended the transaction: {cause.str()}")

    def _opened(self, deadline: Deadline) -> TransactionProducer:
        if self._producer is None:
            self._producer = self._connect(deadline.left_s)
        return self._producer

    def _was_committed(self, settlement: Settlement) -> bool:
        # A partition that moved away meanwhile may be further by now; a transaction is whole, so one will do.
        found = self._places(settlement.positions)
        return any(found.get(p) == (at.offset, at.metadata) for p, at in settlement.positions.items())

    def _not_yet(self, error: KafkaException) -> NotSettled:
        cause: KafkaError = error.args[0]
        if cause.code() in FENCED:
            return self._fence(cause)
        if cause.fatal():
            _give_up(cause)
        return NotSettled(f"no new producer yet: {cause.str()}")


def _give_up(cause: KafkaError) -> NoReturn:
    raise KafkaFatalError(f"the producer cannot go on: {cause.str()} ({cause.name()})")
