"""Records that wait: in order, until they are due and may begin."""

from __future__ import annotations

from consumers.backlog import Backlog
from consumers.bitmap import WINDOW
from consumers.ledger import Ledger
from consumers.progress import Progress
from consumers.records import InputRecord
from consumers.settlement import Partition
from consumers.transport import PartitionEnd
from tests.unit.consumers.samples import record

P0 = Partition("video.requests", 0)
R0 = Partition("retry", 0)


def due(offset: int, due_ms: bytes) -> InputRecord:
    return InputRecord("retry", 0, offset, None, b"", (("capstream.due_ms", due_ms),))


def opened(*partitions: Partition) -> Ledger:
    ledger = Ledger()
    for partition in partitions:
        ledger.assign(partition, Progress(0))
        ledger.begin(partition, 0, 0)
    ledger.apply(ledger.settlement(), committed=True)
    return ledger


def begun(backlog: Backlog, ledger: Ledger, now_ms: int = 0, room: int = 100) -> list[int]:
    return [came.offset for _, came in backlog.begin(ledger, room, now_ms)]


def test_room_is_kept() -> None:
    """No more begins than there is room for; the rest waits, and its partition with it."""
    backlog, ledger = Backlog({}), opened(P0)
    for offset in range(3):
        backlog.add(record(offset), 0)
    assert begun(backlog, ledger, room=2) == [0, 1]
    assert backlog.waiting == {P0}
    assert begun(backlog, ledger) == [2]
    assert backlog.waiting == frozenset()


def test_a_partition_end_does_not_overtake_a_waiting_record() -> None:
    """The end of the log behind a record that waits must not make a gap of it."""
    backlog, ledger = Backlog({"retry": 5000}), opened(R0)
    backlog.add(due(0, b"1000"), 0)
    backlog.add(PartitionEnd(R0, 1), 0)
    assert begun(backlog, ledger, 999) == []
    assert ledger.undone({R0: 1}) == {R0: 1}
    assert begun(backlog, ledger, 1000) == [0]
    assert backlog.waiting == frozenset()


def test_a_distant_day_is_not_waited_for() -> None:
    """A record waits its topic's delay at most, counted from when it was fetched."""
    backlog, ledger = Backlog({"retry": 5000}), opened(R0)
    backlog.add(due(0, b"99999999999999"), 100)
    assert begun(backlog, ledger, 5099) == []
    assert begun(backlog, ledger, 5100) == [0]


def test_what_says_no_time_is_due() -> None:
    """Headers that are missing or no number hold nobody."""
    backlog, ledger = Backlog({"retry": 5000}), opened(R0)
    backlog.add(due(0, b"soon"), 0)
    backlog.add(InputRecord("retry", 0, 1, None, b""), 0)
    assert begun(backlog, ledger) == [0, 1]


def test_a_request_cannot_make_itself_wait() -> None:
    """The due time counts on retry topics only."""
    backlog, ledger = Backlog({"other": 5000}), opened(R0)
    backlog.add(due(0, b"1000"), 0)
    assert begun(backlog, ledger) == [0]


def test_what_is_finished_already_is_passed_over() -> None:
    """Records that the last owner finished are not begun, and hold nobody behind them."""
    backlog, ledger = Backlog({}), Ledger()
    ledger.assign(P0, Progress(0, b"\0\1"))
    for offset in range(3):
        backlog.add(record(offset), 0)
    assert begun(backlog, ledger) == []
    ledger.apply(ledger.settlement(), committed=True)
    assert begun(backlog, ledger) == [0, 2]


def test_beyond_the_window_others_go_on() -> None:
    """A partition whose oldest record is slow stops by itself."""
    backlog, ledger = Backlog({}), opened(P0, R0)
    backlog.add(record(0), 0)
    assert begun(backlog, ledger) == [0]
    backlog.add(record(WINDOW), 0)
    backlog.add(InputRecord("retry", 0, 0, None, b""), 0)
    assert begun(backlog, ledger) == [0]
    assert backlog.waiting == {P0}
