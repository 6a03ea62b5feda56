"""What one consumer decides by, made from the settings."""

from __future__ import annotations

import time

from consumers.attempts import Attempts
from consumers.backlog import Backlog
from consumers.breaker import Breaker, BreakerLimits
from consumers.dispatch import Target
from consumers.flow import Flow, FlowLimits
from consumers.ledger import Ledger
from consumers.records import Marks, Names
from consumers.retries import Retries, RetryTopic
from consumers.runner import Clocks, Parts
from consumers.windows import Publish
from serve_app.settings import Settings

MIB = 1024 * 1024


def parts_of(settings: Settings) -> Parts:
    """The parts of one consumer's loop, new and empty."""
    own = settings.consumer
    limits = FlowLimits(own.max_in_flight, int(own.max_in_flight_mib * MIB), own.resume_share)
    breaker = BreakerLimits(own.breaker.in_a_row, own.breaker.share, own.breaker.window)
    delays_ms = {topic.name: topic.delay_ms for topic in retries_of(settings).topics}
    return Parts(
        flow=Flow(limits),
        ledger=Ledger(attempts_of(settings).crash_limit),
        backlog=Backlog(delays_ms),
        breaker=Breaker(breaker, names_of(settings)),
    )


def retries_of(settings: Settings) -> Retries:
    """The retry topics."""
    topics = settings.retry_topics.items()
    return Retries(tuple(RetryTopic(name, round(delay_s * 1000)) for name, delay_s in topics))


def names_of(settings: Settings) -> Names:
    """The topics of results."""
    topics = settings.topics
    return Names(topics.captions, topics.dead_letters, topics.windows)


def attempts_of(settings: Settings) -> Attempts:
    """How often a record is tried."""
    own = settings.consumer
    return Attempts(
        own.max_attempts,
        own.retry_initial_s,
        own.retry_max_s,
        own.in_place_attempts,
        own.max_attempts_by_class,
    )


def target_of(settings: Settings, consumer: str, publish: Publish | None = None) -> Target:
    """Where results go, with the consumer's name on them, and who publishes windows as they finish."""
    engines = {
        name: "/".join(filter(None, (one.engine.kind, one.engine.model_id)))
        for name, one in settings.named_captioners.items()
    }
    named = ", ".join(engine if name is None else f"{name}={engine}" for name, engine in engines.items())
    marks = Marks(settings.config_hash(), consumer, named)
    return Target(names_of(settings), marks, retries_of(settings), publish)


def system_clocks() -> Clocks:
    """The machine's."""
    return Clocks(time.monotonic, lambda: time.time_ns() // 1_000_000)
