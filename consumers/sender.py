"""Sends records in transactions, as the only live sender of its name.

Making a sender ends the one before it: Kafka aborts what that one left open, and refuses all it tries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from consumers.clients import ClientConfig, producer_config
from consumers.cluster import QUIET
from consumers.records import OutputRecord
from serve_app.errors import BrokerError
from serve_app.settings import Settings

log = logging.getLogger(__name__)

AGAIN = "run the same replay again, what was sent has its receipt and is not sent twice"
RETRY_FOR_S = 60.0
FLUSH_S = 0.1
FENCED = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001  the names are public


class Sender:
    """Sends requests with their receipts. Making one ends the sender before it, wherever that runs.

    An ``exact`` one brings each record by itself, which takes about twice the time.
    """

    def __init__(self, settings: Settings, *, exact: bool = False) -> None:
        self._topic = settings.topics.dead_letters
        self._timeout_s = settings.consumer.settle_timeout_s
        self._producer = Producer(_sender_config(settings, exact=exact), logger=log)
        self._insist(self._producer.init_transactions)

    def send(self, work: list[tuple[OutputRecord, ...]]) -> set[int]:
        """Send everything in one transaction, or nothing: then the answer says what was refused as too large.

        Brokers refuse whole batches, so others may be among it, unless the sender is exact. After that it is
        of no use: it would count on with wrong sequence numbers. Raises ``BrokerError``.
        """
        errors = self.produce(work)
        if not errors:
            self._insist(self._producer.commit_transaction)
            return set()
        self._insist(self._producer.abort_transaction)
        refused = {index for index, error in errors if error.code() == KafkaError.MSG_SIZE_TOO_LARGE}
        if not refused:
            raise self._sentence(errors[0][1])
        return refused

    def produce(self, work: list[tuple[OutputRecord, ...]]) -> list[tuple[int, KafkaError]]:
        """Begin a transaction and bring everything to the broker, uncommitted.

        Returns what went wrong with which item, -1 for none of them.
        """
        errors: list[tuple[int, KafkaError]] = []
        index = -1
        try:
            self._producer.begin_transaction()
            for index, outputs in enumerate(work):
                for output in outputs:
                    self._producer.produce(
                        output.topic,
                        output.value,
                        output.key,
                        headers=list(output.headers),
                        on_delivery=_noting(errors, index),
                    )
            index = -1
            deadline = time.monotonic() + self._timeout_s
            # After one error the others wait for the abort.
            while (left := self._producer.flush(FLUSH_S)) and not errors:
                if time.monotonic() > deadline:
                    told = f"{left} records were not acknowledged within {self._timeout_s:g} s"
                    errors.append((index, KafkaError(KafkaError._MSG_TIMED_OUT, told)))  # noqa: SLF001  the name is public
        except KafkaException as error:
            errors.append((index, error.args[0]))
        return errors

    def _insist(self, call: Callable[[float], None]) -> None:
        again = Retrying(
            retry=retry_if_exception(_is_retriable),
            stop=stop_after_delay(RETRY_FOR_S),
            wait=wait_fixed(0.2),
            reraise=True,
        )
        try:
            again(call, self._timeout_s)
        except KafkaException as error:
            raise self._sentence(error.args[0]) from error

    def _sentence(self, error: KafkaError) -> BrokerError:
        if error.code() in FENCED:
            return BrokerError(f"another replay of {self._topic} began and ended this one: {AGAIN}")
        return BrokerError(f"the replay cannot go on: {error.str()} ({error.name()}): {AGAIN}")


def _noting(errors: list[tuple[int, KafkaError]], index: int) -> Callable[[KafkaError | None, Message], None]:
    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            errors.append((index, error))

    return delivered


def _is_retriable(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].retriable()


def _sender_config(settings: Settings, *, exact: bool) -> ClientConfig:
    timeout_ms = int(settings.consumer.settle_timeout_s * 1000)
    return {
        **producer_config(settings),
        **QUIET,
        **({"batch.num.messages": 1} if exact else {}),
        "transactional.id": f"capstream-replay-{settings.topics.dead_letters}",
        # What a killed replay left open holds up readers of the input topic for so long at most.
        "transaction.timeout.ms": max(15_000, timeout_ms + 5000),
    }
