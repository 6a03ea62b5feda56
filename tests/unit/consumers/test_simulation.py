"""The pure core against a model: arrivals, completions, failures, revocations and deaths at any step.

The model is a broker that keeps a log, what is committed, and what readers see. The process under test is
a ledger and a backlog; it dies, or its partitions go, whenever hypothesis likes. *Poison* records kill it
whenever work on them begins. In the end everything is worked off, and every record was published once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumers.backlog import Backlog
from consumers.bitmap import WINDOW
from consumers.ledger import Ledger
from consumers.progress import MAX_CHARS, Progress, decode
from consumers.records import InputRecord, OutputRecord
from consumers.settlement import Partition, Settlement, Ticket
from consumers.transport import PartitionEnd

PLACES = (Partition("t", 0), Partition("t", 1))
LIMIT = 3
CAPTION = (OutputRecord("captions", None, b""),)
LETTER = (OutputRecord("letters", None, b""),)
Place = tuple[Partition, int]
places = st.sampled_from(PLACES)
gaps = st.sampled_from([0] * 12 + [1, 2, 3, 50, WINDOW - 2, WINDOW + 5])


@dataclass
class Broker:
    """What survives every death."""

    ends: dict[Partition, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    records: dict[Partition, list[int]] = field(default_factory=lambda: {place: [] for place in PLACES})
    committed: dict[Partition, tuple[int, str]] = field(
        default_factory=lambda: dict.fromkeys(PLACES, (0, ""))
    )
    captions: Counter[Place] = field(default_factory=Counter)
    letters: Counter[Place] = field(default_factory=Counter)

    def take(self, settlement: Settlement) -> None:
        """Commit a transaction."""
        for ticket, outputs in settlement.outputs.items():
            seen = self.letters if outputs == LETTER else self.captions
            seen[ticket.partition, ticket.offset] += 1
        for partition, position in settlement.positions.items():
            assert len(position.metadata) <= MAX_CHARS
            self.committed[partition] = (position.offset, position.metadata)

    def progress(self, partition: Partition) -> Progress:
        """What the next owner reads."""
        return decode(*self.committed[partition]).clamped(0, self.ends[partition])


class Process:
    """One life of a consumer: what is lost with it."""

    def __init__(self, broker: Broker) -> None:
        self.ledger = Ledger(LIMIT)
        self.backlog = Backlog({})
        self.position: dict[Partition, int] = {}
        self.running: list[Ticket] = []
        self.doubtful: Settlement | None = None
        for partition in PLACES:
            self.assign(partition, broker.progress(partition))

    def assign(self, partition: Partition, progress: Progress) -> None:
        """Own a partition."""
        self.drop(partition)
        self.position[partition] = progress.base
        self.ledger.assign(partition, progress)

    def drop(self, partition: Partition) -> None:
        """Own it no longer; its work goes on and is of no use."""
        self.backlog.drop(partition)
        self.ledger.drop(partition)


class Life(RuleBasedStateMachine):
    """One after another, processes work on the same log."""

    def __init__(self) -> None:
        super().__init__()
        self.broker = Broker()
        self.process = Process(self.broker)
        self.poison: set[Place] = set()
        self.died_alone: set[Place] = set()
        self.deaths = 0

    @rule(partition=places, gap=gaps, poison=st.sampled_from([False] * 7 + [True]))
    def arrive(self, partition: Partition, gap: int, poison: bool) -> None:  # noqa: FBT001  drawn
        """A record is appended, perhaps after offsets that no reader is shown."""
        offset = self.broker.ends[partition] + gap
        self.broker.records[partition].append(offset)
        self.broker.ends[partition] = offset + 1
        if poison:
            self.poison.add((partition, offset))

    @rule(partition=places, count=st.integers(1, 5))
    def fetch(self, partition: Partition, count: int) -> None:
        """The client delivers records, and the end where there are no more."""
        one = self.process
        if partition in one.backlog.waiting or partition not in one.ledger.partitions:
            return
        left = [o for o in self.broker.records[partition] if o >= one.position[partition]]
        for offset in left[:count]:
            one.backlog.add(InputRecord(partition.topic, partition.number, offset, None, b""), 0)
            one.position[partition] = offset + 1
        if len(left) <= count:
            one.backlog.add(PartitionEnd(partition, self.broker.ends[partition]), 0)
            one.position[partition] = self.broker.ends[partition]

    @rule(room=st.integers(1, 8))
    def begin(self, room: int) -> None:
        """Work begins; poison kills the process, unless enough died with it."""
        work = self.process.backlog.begin(self.process.ledger, room, 0)
        self.process.running += [ticket for ticket, _ in work]
        for ticket, _ in work:
            if ticket.crashes >= LIMIT:
                self._finish(ticket, LETTER)
        if any((t.partition, t.offset) in self.poison and t.crashes < LIMIT for t, _ in work):
            self.die()

    def _finish(self, ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        self.process.running.remove(ticket)
        self.process.ledger.finish(ticket, outputs)

    @precondition(lambda self: self.process.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Any running record finishes, also one whose partition has gone."""
        self._finish(data.draw(st.sampled_from(self.process.running)), CAPTION)

    @rule(outcome=st.sampled_from(["committed", "committed", "committed", "aborted", "both unknown", "lost"]))
    def settle(self, outcome: str) -> None:
        """A transaction is committed or not, and the process knows it or does not."""
        one = self.process
        if one.doubtful is not None:
            self.resolve()
        settlement = one.ledger.settlement()
        if outcome in ("committed", "both unknown"):
            self.broker.take(settlement)
        if outcome == "committed":
            one.ledger.apply(settlement, committed=True)
        elif outcome != "aborted":
            one.doubtful = settlement

    def resolve(self) -> None:
        """The committed offsets tell what became of the last transaction."""
        doubtful, self.process.doubtful = self.process.doubtful, None
        if doubtful is not None and any(
            self.broker.committed[p] == (at.offset, at.metadata) for p, at in doubtful.positions.items()
        ):
            self.process.ledger.apply(doubtful, committed=True)

    @rule(partition=places, settled=st.booleans())
    def revoke(self, partition: Partition, settled: bool) -> None:  # noqa: FBT001  drawn
        """A partition goes and comes back, in good order or lost."""
        one = self.process
        if settled:
            self.resolve()
            self.broker.take(one.ledger.settlement([partition], final=True))
        one.assign(partition, self.broker.progress(partition))

    @rule()
    def die(self) -> None:
        """The process is killed, and the next one begins with what is committed."""
        self.deaths += 1
        owned = [t for t in self.process.running if (t.partition in self.process.ledger.partitions)]
        if len(owned) == 1:
            self.died_alone.add((owned[0].partition, owned[0].offset))
        for partition in PLACES:
            alone = self.broker.progress(partition).alone
            if alone is not None:
                self.died_alone.add((partition, alone))
        self.process = Process(self.broker)

    @invariant()
    def nothing_is_published_twice(self) -> None:
        """Readers of committed records see one result at most for each record."""
        assert all(count == 1 for count in (self.broker.captions + self.broker.letters).values())

    @invariant()
    def nothing_unfinished_is_committed(self) -> None:
        """Whatever the committed text calls finished was published."""
        for partition, records in self.broker.records.items():
            progress = self.broker.progress(partition)
            for offset in records:
                place = offset - progress.base
                done = place < 0 or (place < len(progress.finished) and progress.finished[place])
                assert done == bool(self._ends(partition, offset))

    def _ends(self, partition: Partition, offset: int) -> int:
        return self.broker.captions[partition, offset] + self.broker.letters[partition, offset]

    @invariant()
    def only_who_died_alone_is_condemned(self) -> None:
        """A record is a dead letter only if a process died while it worked on nothing else."""
        assert self.broker.letters.keys() <= self.died_alone

    def teardown(self) -> None:
        """Without further faults everything ends, poison after a bounded number of deaths."""
        before = self.deaths
        total = sum(len(records) for records in self.broker.records.values())
        for _ in range(60 + 40 * total):
            for partition in PLACES:
                self.fetch(partition, 5)
            self.begin(8)
            for ticket in list(self.process.running):
                if (ticket.partition, ticket.offset) not in self.poison:
                    self._finish(ticket, CAPTION)
            self.settle("committed")
            if len(self.broker.captions) + len(self.broker.letters) == total:
                break
        self.nothing_is_published_twice()
        self.nothing_unfinished_is_committed()
        self.only_who_died_alone_is_condemned()
        assert (self.broker.captions + self.broker.letters).total() == total
        assert self.poison <= self.broker.letters.keys()
        assert self.process.ledger.in_flight == 0
        assert self.deaths - before <= (LIMIT + 2) * len(self.poison)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=2000, stateful_step_count=30, deadline=None)
