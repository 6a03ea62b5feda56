"""The consumer's loop on a real broker: nothing lost, and no more repeated than a crash costs."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from consumers.reader import Until, records_of
from consumers.records import OutputRecord
from serve_app.settings import Settings
from tests.brokers import KAFKA_LOG, Kafka
from tests.kafka.members import Member, captions, member, send, settings_for


def committed(settings: Settings, partition: int = 0) -> int:
    consumer = Consumer(
        {"bootstrap.servers": settings.broker.bootstrap_servers, "group.id": settings.consumer.group_id},
        logger=KAFKA_LOG,
    )
    try:
        (place,) = consumer.committed([TopicPartition(settings.topics.requests, partition)], timeout=20)
        return int(place.offset)
    finally:
        consumer.close()


@retry(retry=retry_if_result(lambda reached: not reached), stop=stop_after_delay(30), wait=wait_fixed(0.05))
def wait_committed(settings: Settings, offset: int) -> bool:
    return committed(settings) == offset


def test_out_of_order_results_commit_up_to_the_gap(kafka: Kafka) -> None:
    """A later result is published at once; its offset waits for the earlier record."""
    settings = settings_for(kafka)
    send(settings, b"a", b"b", b"c")
    with member(settings) as one:
        first, second, third = one.take(3)
        one.give(third, second)
        assert {record.value for record in captions(settings, 2)} == {b"b", b"c"}
        assert committed(settings) == 0
        one.give(first)
        assert wait_committed(settings, 3)


def test_restart_goes_on_where_it_stopped(kafka: Kafka) -> None:
    """What was settled is not done again, what was in flight is."""
    settings = settings_for(kafka)
    send(settings, b"a", b"b")
    with member(settings) as one:
        first, _unfinished = one.take(2)
        one.give(first)
        assert wait_committed(settings, 1)
    with member(settings) as two:
        ((_, record),) = two.take(1)
        assert record.value == b"b"
        assert two.work.empty()


def test_rebalance_loses_nothing(kafka: Kafka) -> None:
    """A second member takes over a partition in the middle of the work, and every record is captioned."""
    settings = settings_for(kafka)
    for partition in (0, 1):
        send(settings, *[f"{partition}-{n}".encode() for n in range(20)], partition=partition)
    seen: set[bytes | None] = set()
    with member(settings) as one:
        held = one.take(40)
        one.give(*held[::2])
        with member(settings) as two:
            moved = two.take(1)
            one.give(*held[1::2])
            two.give(*moved)
            seen = values_until(settings, 40, two)
    assert seen == {f"{partition}-{n}".encode() for partition in (0, 1) for n in range(20)}


def values_until(settings: Settings, count: int, busy: Member) -> set[bytes | None]:
    """Read captions until so many different ones came, while a member captions all that it is given."""
    seen: set[bytes | None] = set()
    topic = settings.topics.captions
    for record in records_of(settings, [topic], from_beginning=True, until=Until(None, 60)):
        seen.add(record.value)
        while not busy.work.empty():
            busy.give(busy.work.get_nowait())
        if len(seen) == count:
            break
    return seen


def test_pause_does_not_survive_a_reassignment(kafka: Kafka) -> None:
    """A partition that was paused when it moved away is fetched from when it comes back."""
    settings = settings_for(kafka, max_in_flight=1)
    send(settings, b"a", partition=0)
    send(settings, b"b", partition=1)
    with member(settings) as one:
        held = one.take(1)
        with member(settings) as two:
            two.give(*two.take(1))
        one.give(*held)
        rest = one.take(1)
        one.give(*rest)
    values = [record.value for record in captions(settings, 2)]
    assert set(values) == {b"a", b"b"}


def test_too_large_caption_becomes_a_dead_letter(kafka: Kafka) -> None:
    """A result that the topic does not take is replaced by what stands in for it, and committed."""
    settings = settings_for(kafka)
    send(settings, b"a")
    with member(settings) as one:
        ((ticket, _),) = one.take(1)
        letter = OutputRecord(settings.topics.dead_letters, None, b"small")
        big = OutputRecord(settings.topics.captions, None, bytes(2**21), (), lambda: letter)
        one.runner.finish(ticket, (big,))
        found = list(
            records_of(settings, [settings.topics.dead_letters], from_beginning=True, until=Until(1, 60))
        )
        assert [record.value for record in found] == [b"small"]
        assert wait_committed(settings, 1)


def test_aborted_transactions_and_markers_do_not_hold_the_watermark(kafka: Kafka) -> None:
    """Offsets that no reader is shown are closed as gaps, the last one included."""
    settings = settings_for(kafka)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": settings.consumer.group_id},
        logger=KAFKA_LOG,
    )
    producer.init_transactions(30)
    for value, commit in ((b"a", True), (b"gone", False), (b"b", True), (b"gone", False)):
        producer.begin_transaction()
        producer.produce(settings.topics.requests, value, partition=0)
        producer.flush()
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    with member(settings) as one:
        work = one.take(2)
        assert [record.value for _, record in work] == [b"a", b"b"]
        one.give(*work)
        assert wait_committed(settings, 8)


def test_flow_is_bounded(kafka: Kafka) -> None:
    """No more is taken than the bound says, and all of it in the end."""
    settings = settings_for(kafka, partitions=1, max_in_flight=8)
    send(settings, *[str(n).encode() for n in range(50)])
    with member(settings) as one:
        done = 0
        while done < 50:
            work = one.take(1)
            assert one.runner.in_flight <= 8
            one.give(*work)
            done += 1
        assert wait_committed(settings, 50)
