"""What the ledger costs: records per CPU second, and the length of the text beside an offset.

Counted are begin, finish and settle. 10,000 records stay in flight over 6 partitions; they finish in random
order, and so many at a time are settled together: 20 (nearly each by itself), 200 and 2,000. Positions are
made as for a commit. Second, the length of the commit's metadata for the patterns that are worst for it,
against what brokers take.

    python -m benchmarks.ledger [--records 300000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from itertools import count

import numpy as np

from consumers.bitmap import WINDOW
from consumers.ledger import Ledger, Partition, Ticket
from consumers.progress import Progress, Run, encode
from consumers.records import OutputRecord

IN_FLIGHT = 10_000
PARTITIONS = 6
TOGETHER = (20, 200, 2000)
OUTPUTS = (OutputRecord("captions", b"key", b"value"),)
SIZE = 200
BROKER_LIMIT = 4096  # offset.metadata.max.bytes
GOAL = 300_000


class Arrivals:
    """Records as the partitions hold them, one partition after the other."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._places = self._round()
        for number in range(PARTITIONS):
            ledger.assign(Partition("requests", number), Progress(0))
            ledger.begin(Partition("requests", number), 0, SIZE)
        ledger.apply(ledger.settlement(), committed=True)

    @staticmethod
    def _round() -> Iterator[tuple[Partition, int]]:
        partitions = [Partition("requests", number) for number in range(PARTITIONS)]
        for offset in count():
            for partition in partitions:
                yield partition, offset

    def begin(self, number: int) -> list[Ticket]:
        """Take so many records in."""
        begin = self._ledger.begin
        made = [begin(partition, offset, SIZE) for (partition, offset), _ in zip(self._places, range(number))]  # noqa: B905  the first never ends
        assert all(type(one) is Ticket for one in made)  # noqa: S101  none had to wait
        return [one for one in made if isinstance(one, Ticket)]


def rate(records: int, together: int, rng: random.Random) -> float:
    """Records per second; what is in flight stays the same."""
    ledger = Ledger()
    arrivals = Arrivals(ledger)
    waiting = arrivals.begin(IN_FLIGHT)
    rng.shuffle(waiting)
    passed, busy_s = 0, 0.0
    while passed < records:
        # The slowest tenth never finishes before the rest, so the bitmap has work to do.
        done, waiting = waiting[:together], waiting[together:]
        began = time.process_time()
        for ticket in done:
            ledger.finish(ticket, OUTPUTS)
        ledger.apply(ledger.settlement(), committed=True)
        taken = arrivals.begin(together)
        busy_s += time.process_time() - began
        waiting += taken
        if passed % IN_FLIGHT < together:
            rng.shuffle(waiting)
        passed += together
    return passed / busy_s


def longest_texts(rng: np.random.Generator) -> dict[str, int]:
    """Characters beside the offset with a full window, by what is finished in it."""
    patterns = {
        "every second one": np.arange(WINDOW) % 2,
        "at random, half": rng.random(WINDOW) < 0.5,
        "at random, one in ten": rng.random(WINDOW) < 0.1,
        "all but the first": np.arange(WINDOW) > 0,
    }
    suspects = tuple(Run(10**15 + n, 10**15 + n + 1, 2) for n in range(0, 128, 2))
    return {
        name: len(
            encode(Progress(10**15, bits.astype(np.uint8).tobytes(), 10**15 + WINDOW, 10**15, suspects))
        )
        for name, bits in patterns.items()
    }


def main() -> None:
    """Print the rates and the lengths."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for together in TOGETHER:
        rates = [rate(asked.records, together, random.Random(n)) for n in range(asked.rounds)]
        shown = "  ".join(f"{one:9,.0f}" for one in rates)
        print(f"settled {together:5} at a time, records per CPU second: {shown}  (goal: {GOAL:,})")
    for name, length in longest_texts(np.random.default_rng(1)).items():
        print(f"metadata, {name:22}: {length:5} of {BROKER_LIMIT} characters")


if __name__ == "__main__":
    main()
