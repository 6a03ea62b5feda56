"""Records that were fetched and may not begin yet, in the order of each partition.

A retry record waits until it is due, any record until the ledger lets it begin. Only the head of a
partition is looked at: behind it everything waits too, the partition's end included. What is kept here is
at most one poll's worth for each partition, since the loop pauses those that have a backlog.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from consumers.ledger import Ledger, Refusal
from consumers.records import InputRecord
from consumers.retries import due_ms
from consumers.settlement import Partition, Ticket
from consumers.transport import PartitionEnd

Work = list[tuple[Ticket, InputRecord]]
Event = InputRecord | PartitionEnd


class Backlog:
    """One queue for each partition; ``delays_ms`` are those of the retry topics, by topic."""

    def __init__(self, delays_ms: Mapping[str, int]) -> None:
        self._delays_ms = delays_ms
        self._queues: dict[Partition, deque[tuple[Event, int]]] = {}

    @property
    def waiting(self) -> frozenset[Partition]:
        """Partitions that are not to be fetched from, because something of theirs waits here."""
        return frozenset(self._queues)

    def add(self, event: Event, now_ms: int) -> None:
        """Take what was fetched at ``now_ms``, in ms since the epoch."""
        if isinstance(event, PartitionEnd):
            self._queues.setdefault(event.partition, deque()).append((event, 0))
            return
        place = Partition(event.topic, event.partition)
        self._queues.setdefault(place, deque()).append((event, self._due_ms(event, now_ms)))

    def _due_ms(self, record: InputRecord, now_ms: int) -> int:
        delay_ms = self._delays_ms.get(record.topic)
        # A header that names a distant day must not hold its partition until then.
        return min(due_ms(record), now_ms + delay_ms) if delay_ms is not None else 0

    def drop(self, partition: Partition) -> None:
        """Forget a partition that is no longer ours."""
        self._queues.pop(partition, None)

    def begin(self, ledger: Ledger, room: int, now_ms: int) -> Work:
        """Begin with what is due and may begin, at most ``room`` records."""
        work: Work = []
        for partition, queue in list(self._queues.items()):
            while queue and len(work) < room:
                event, due = queue[0]
                if due > now_ms:
                    break
                until = _end(queue[-1][0])
                match _offered(ledger, partition, event, until):
                    case Refusal.WAIT:
                        break
                    case Refusal.SKIP:
                        pass
                    case Ticket() as ticket:
                        assert isinstance(event, InputRecord)  # noqa: S101  an end has no ticket
                        work.append((ticket, event))
                queue.popleft()
            if not queue:
                del self._queues[partition]
        return work


def _offered(ledger: Ledger, partition: Partition, event: Event, until: int) -> Ticket | Refusal:
    match event:
        case PartitionEnd(_, offset):
            return Refusal.SKIP if ledger.reach_end(partition, offset) else Refusal.WAIT
        case InputRecord():
            return ledger.begin(partition, event.offset, event.size, until)


def _end(event: Event) -> int:
    return event.offset if isinstance(event, PartitionEnd) else event.offset + 1
