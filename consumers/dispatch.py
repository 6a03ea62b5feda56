"""One record's way through the tiers, on the event loop: parse, call, retry in place, judge.

A transient failure is tried again after a growing, random pause, ``max_attempts`` times in all; then
it is a dead letter. Back-pressure is no attempt: nothing was done, so it is waited out without counting.
While the consumer drains, a transient failure is no verdict at all: the record stays unsettled and Kafka
delivers it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import assert_never

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    stop_after_attempt,
    stop_never,
    wait_random_exponential,
)

from consumers.ledger import Ticket
from consumers.records import (
    InputRecord,
    Marks,
    Names,
    OutputRecord,
    Verdict,
    caption_output,
    caption_record,
    dead_letter,
    parse,
)
from serve_app.errors import Failure, OverloadedError, RequestInvalidError
from serve_app.schema import Captioned, CaptionRequest

log = logging.getLogger(__name__)

Outcome = Captioned | Failure
Call = Callable[[CaptionRequest], Awaitable[Outcome]]
Finish = Callable[[Ticket, tuple[OutputRecord, ...]], None]


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often and how fast a record is tried: pauses in seconds."""

    limit: int
    initial_s: float
    max_s: float


@dataclass(frozen=True, slots=True)
class Target:
    """Where results go, and what is written on each."""

    names: Names
    marks: Marks


def is_overloaded(outcome: Outcome) -> bool:
    """Whether nothing was done because every replica was full."""
    return isinstance(outcome, Failure) and outcome.error_class == OverloadedError.__name__


def is_transient(outcome: Outcome) -> bool:
    """Whether another attempt may succeed."""
    return isinstance(outcome, Failure) and outcome.family == "transient"


class Dispatcher:
    """Runs records as tasks of the current event loop and hands on what became of them."""

    def __init__(self, call: Call, finish: Finish, attempts: Attempts, target: Target) -> None:
        self._call = call
        self._finish = finish
        self._attempts = attempts
        self._target = target
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
        outputs = await self.outputs_of(record)
        if outputs is not None:
            self._finish(ticket, outputs)

    async def outputs_of(self, record: InputRecord) -> tuple[OutputRecord, ...] | None:
        """What becomes of a record: its outputs, or ``None`` if it must be delivered again."""
        try:
            request = parse(record.value)
        except RequestInvalidError as error:
            return self._letter(record, Failure.of(error), 1, record.id)
        outcome, attempts = await self._persist(request)
        match outcome:
            case Captioned():
                made = caption_record(record, request, outcome, attempts, self._target.marks)
                return (caption_output(record, made, self._target.names, self._target.marks),)
            case Failure():
                if self._draining and is_transient(outcome):
                    return None
                return self._letter(record, outcome, attempts, request.id or record.id)
            case _:
                assert_never(outcome)

    def _letter(
        self, record: InputRecord, failure: Failure, attempts: int, request_id: str
    ) -> tuple[OutputRecord, ...]:
        log.warning(
            "dead letter: %s after %d attempts at %s: %s: %s",
            request_id,
            attempts,
            record.id,
            failure.error_class,
            failure.message,
        )
        verdict = Verdict(failure, attempts, request_id, self._target.marks)
        return (dead_letter(record, verdict, self._target.names),)

    async def _persist(self, request: CaptionRequest) -> tuple[Outcome, int]:
        pause = wait_random_exponential(multiplier=self._attempts.initial_s, max=self._attempts.max_s)
        limit = stop_after_attempt(self._attempts.limit)
        tries = AsyncRetrying(
            retry=retry_if_result(is_transient),
            wait=pause,
            stop=lambda state: self._draining or limit(state),
            retry_error_callback=_last_outcome,
        )
        patience = AsyncRetrying(
            retry=retry_if_result(is_overloaded),
            wait=pause,
            stop=lambda state: self._draining or stop_never(state),
            retry_error_callback=_last_outcome,
        )

        async def attempt() -> Outcome:
            return await patience.copy()(self._call, request)

        outcome: Outcome = await tries(attempt)
        return outcome, int(tries.statistics.get("attempt_number", 1))


def _last_outcome(state: RetryCallState) -> Outcome:
    if state.outcome is None:
        raise RuntimeError("tenacity stopped before the first attempt")
    outcome: Outcome = state.outcome.result()
    return outcome
