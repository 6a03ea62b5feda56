"""One record's way through the tiers, on the event loop: parse, call, judge.

A transient failure becomes a record on the next retry topic, until its class's attempts are used up
(:mod:`consumers.attempts`); then it is a dead letter. A lost worker is called again in place first: most
are replaced within seconds. Without retry topics every transient failure is tried again in place.
Back-pressure is no attempt: nothing was done, so it is waited out without counting. While the consumer
drains, a transient failure is no verdict at all: the record stays unsettled and Kafka delivers it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import assert_never

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_never,
    wait_random_exponential,
)

from consumers.attempts import Attempts, Failures
from consumers.records import (
    InputRecord,
    Marks,
    Names,
    OutputRecord,
    Verdict,
    caption_output,
    caption_record,
    dead_letter,
)
from consumers.retries import Arrival, Retries, retry_record
from consumers.settlement import Ticket
from consumers.window_records import window_output, window_record
from consumers.windows import Publish, Told
from serve_app.errors import (
    Failure,
    InternalError,
    OverloadedError,
    ProcessKilledError,
    RequestInvalidError,
    WorkerLostError,
)
from serve_app.schema import Caption, Captioned, CaptionRequest
from serve_app.schema.values import parse

log = logging.getLogger(__name__)

Outcome = Captioned | Failure
Tell = Callable[[Caption], None]
Call = Callable[[CaptionRequest, Tell], Awaitable[Outcome]]
"""Asks the tiers; windows of a long video are told as they finish."""
Finish = Callable[[Ticket, tuple[OutputRecord, ...]], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where results go, and what is written on each; who publishes windows before the rest, if anybody."""

    names: Names
    marks: Marks
    retries: Retries
    publish: Publish | None = None


def is_overloaded(outcome: Outcome) -> bool:
    """Whether nothing was done because every replica was full."""
    return isinstance(outcome, Failure) and outcome.error_class == OverloadedError.__name__


def is_transient(outcome: Outcome) -> bool:
    """Whether another attempt may succeed."""
    return isinstance(outcome, Failure) and outcome.family == "transient"


class Dispatcher:
    """Runs records as tasks of the current event loop and hands on what became of them."""

    def __init__(
        self, call: Call, finish: Finish, attempts: Attempts, target: Target, epoch_ms: Callable[[], int]
    ) -> None:
        self._call = call
        self._finish = finish
        self._attempts = attempts
        self._target = target
        self._epoch_ms = epoch_ms
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def running(self) -> int:
        """Records that are being worked on."""
        return len(self._tasks)

    def start(self, work: list[tuple[Ticket, InputRecord]]) -> None:
        """Begin with records; call it on the event loop."""
        for ticket, record in work:
            task = asyncio.get_running_loop().create_task(self._run(ticket, record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> None:
        """Wait for running records, then cancel those that overstay: Kafka delivers them again."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, ticket: Ticket, record: InputRecord) -> None:
        try:
            outputs = await self.outputs_of(record, crashes=ticket.crashes)
        except Exception as error:
            # The outermost place of one record. It must end somewhere, or its partition stands still.
            log.exception("a bug met %s", record.place)
            bug = Failure.of(InternalError(f"{type(error).__name__} in the consumer"))
            outputs = (self._letter(self._target.retries.arrival(record), bug, record.id),)
        if outputs is not None:
            self._finish(ticket, outputs)

    async def outputs_of(self, record: InputRecord, *, crashes: int = 0) -> tuple[OutputRecord, ...] | None:
        """What becomes of a record: its outputs, or ``None`` if it must be delivered again.

        ``crashes`` processes died while they worked on it: at the limit it is not worked on again.
        """
        arrival = self._target.retries.arrival(record)
        if crashes >= self._attempts.crash_limit:
            # Its value is not even parsed: that may be what kills.
            died = ProcessKilledError(f"{crashes} consumer processes died while they worked on it")
            counted = replace(arrival, attempts=arrival.attempts + crashes)
            return (self._letter(counted, Failure.of(died), arrival.record.id),)
        try:
            request = parse(record.value)
        except RequestInvalidError as error:
            once = replace(arrival, attempts=arrival.attempts + 1)
            return (self._letter(once, Failure.of(error), arrival.record.id),)
        outcome, arrival, told = await self._persist(request, arrival)
        match outcome:
            case Captioned():
                marks = self._target.marks
                caption = caption_record(arrival.record, request, outcome, arrival.attempts, marks)
                whole = caption_output(arrival.record, caption, self._target.names, marks)
                return (*told.left(outcome.captions), whole)
            case Failure():
                if self._draining and is_transient(outcome):
                    return None
                request_id = request.id or arrival.record.id
                return (self._again(arrival, outcome, record.topic, request_id),)
            case _:
                assert_never(outcome)

    def _again(self, arrival: Arrival, failure: Failure, topic: str, request_id: str) -> OutputRecord:
        following = self._target.retries.next_after(topic)
        used_up = self._attempts.are_used_up(arrival.failures, failure.error_class)
        if following is None or used_up or not is_transient(failure):
            return self._letter(arrival, failure, request_id)
        log.info("retry: %s goes to %s: %s", request_id, following.name, failure.error_class)
        again = retry_record(arrival, failure, following, self._epoch_ms())
        return replace(again, if_too_large=partial(self._letter, arrival, failure, request_id))

    def _letter(self, arrival: Arrival, failure: Failure, request_id: str) -> OutputRecord:
        log.warning(
            "dead letter: %s after %d attempts at %s: %s: %s",
            request_id,
            arrival.attempts,
            arrival.record.id,
            failure.error_class,
            failure.message,
        )
        verdict = Verdict(failure, arrival.attempts, request_id, self._target.marks)
        return dead_letter(arrival.record, verdict, self._target.names)

    def _told(self, request: CaptionRequest, record: InputRecord, attempt: int) -> Told:
        topic, marks = self._target.names.windows, self._target.marks

        def make(caption: Caption) -> OutputRecord:
            window = window_record(record, request, caption, attempt, marks)
            return window_output(record, window, topic or "", marks)

        return Told(self._target.publish if topic is not None else None, make)

    async def _persist(self, request: CaptionRequest, arrival: Arrival) -> tuple[Outcome, Arrival, Told]:
        """What came of it in place, the arrival with what was tried, and the windows of the last attempt."""
        pause = wait_random_exponential(multiplier=self._attempts.initial_s, max=self._attempts.max_s)
        failures = Counter(arrival.failures)
        tries = AsyncRetrying(
            retry=retry_if_result(is_transient),
            wait=pause,
            stop=lambda state: self._draining or self._is_enough(state, failures),
            retry_error_callback=_last_outcome,
        )
        patience = AsyncRetrying(
            retry=retry_if_result(is_overloaded),
            wait=pause,
            stop=lambda state: self._draining or stop_never(state),
            retry_error_callback=_last_outcome,
        )

        made, told = 0, self._told(request, arrival.record, arrival.attempts + 1)

        async def attempt() -> Outcome:
            nonlocal made, told
            made += 1
            told = self._told(request, arrival.record, arrival.attempts + made)
            outcome: Outcome = await patience.copy()(self._call, request, told)
            if isinstance(outcome, Failure):
                failures[outcome.error_class] += 1
            return outcome

        outcome: Outcome = await tries(attempt)
        return outcome, replace(arrival, attempts=arrival.attempts + made, failures=failures), told

    def _is_enough(self, state: RetryCallState, failures: Failures) -> bool:
        """Whether no attempt in place follows the last one."""
        outcome = _last_outcome(state)
        if not isinstance(outcome, Failure) or self._attempts.are_used_up(failures, outcome.error_class):
            return True
        lost = outcome.error_class == WorkerLostError.__name__
        in_place = self._attempts.in_place if lost else 1
        return bool(self._target.retries.topics) and state.attempt_number >= in_place


def _last_outcome(state: RetryCallState) -> Outcome:
    if state.outcome is None:
        raise RuntimeError("tenacity stopped before the first attempt")
    outcome: Outcome = state.outcome.result()
    return outcome
