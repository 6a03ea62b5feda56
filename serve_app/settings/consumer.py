"""Settings of the consumer: how requests are taken from Kafka, tried again and settled."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from serve_app.errors import RECORD_ERRORS, OverloadedError, ProcessKilledError
from serve_app.schema import Closed
from serve_app.schema.numbers import Number, Whole
from serve_app.schema.violations import refusal, unknown

COUNTED_ERRORS = frozenset(
    name for name, kind in RECORD_ERRORS.items() if kind.family == "transient" or kind is ProcessKilledError
) - {OverloadedError.__name__}
ABANDONED_S = 30.0
"""Beside its time-out, until an abandoned transaction is over: brokers look for such ones every 10 s."""
ATTEMPTS_BY_CLASS = {
    "DecodeMemoryError": 2,
    "DecodeTimeoutError": 2,
    "DecoderDiedError": 2,
    "InternalError": 3,
    "ProcessKilledError": 3,
    "WorkerLostError": 6,
}


class BreakerSettings(Closed):
    """When a consumer stops reading, because so many dead letters must have one cause."""

    in_a_row: Whole = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="More than so many dead letters in a row; 0 never stops for a row.",
    )
    share: Number = Field(
        default=0.9,
        gt=0,
        le=1,
        description="More than this share of dead letters; 1 never stops for a share.",
    )
    window: Whole = Field(default=500, ge=1, le=100_000, description="The share is of so many last results.")
    resume: str = Field(
        default="",
        max_length=200,
        description="Any text, such as a date: deployed with another one, stopped consumers read on.",
    )


class ConsumerSettings(Closed):
    """How requests are taken from Kafka and settled."""

    group_id: str = Field(
        default="capstream",
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Consumer group.",
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        default="classic",
        description="classic: cooperative-sticky; consumer: KIP-848, for brokers from 4.0, which then decide "
        "on the session time-out themselves.",
    )
    static_membership: bool = Field(
        default=False,
        description="A replica that is started again on the same machine gets its partitions back without a "
        "rebalance. One that is gone for good keeps them until its session times out.",
    )
    delivery: Literal["exactly_once", "at_least_once"] = Field(
        default="exactly_once",
        description="exactly_once: results and offsets in one transaction; at_least_once: for brokers "
        "without transactions, a crash repeats what was published and not yet committed.",
    )
    transaction_timeout_s: Number = Field(
        default=10,
        ge=1,
        le=900,
        description="The broker aborts a transaction that its dead owner left open after so long; readers "
        "wait for it until then.",
    )
    max_in_flight: Whole = Field(
        default=64,
        ge=1,
        le=20_000,
        description="Records taken and not yet settled, per replica; polling pauses.",
    )
    max_in_flight_mib: Number = Field(
        default=64, gt=0, le=65_536, description="Bytes of their values in MiB, per replica."
    )
    resume_share: Number = Field(
        default=0.75, gt=0, le=1, description="Fetching resumes below this share of either bound."
    )
    settle_interval_ms: Whole = Field(
        default=200, ge=1, le=10_000, description="Results are published and offsets committed this often."
    )
    settle_timeout_s: Number = Field(default=10, gt=0, le=120, description="For one publish and commit.")
    max_attempts: Whole = Field(
        default=4,
        ge=1,
        le=100,
        description="Failed attempts of a record, retries included, before a transient failure is a dead "
        "letter; error classes of max_attempts_by_class are not among them.",
    )
    max_attempts_by_class: dict[str, Annotated[Whole, Field(ge=1, le=100)]] = Field(
        default=ATTEMPTS_BY_CLASS,
        description="The same for single error classes, each counted by itself; classes that are left out "
        "keep their default. "
        "ProcessKilledError counts the consumer processes that died while they worked on a record.",
    )
    retry_delays_s: tuple[Annotated[Number, Field(ge=0.001, le=604_800)], ...] = Field(
        default=(5, 60, 600),
        max_length=16,
        description="A transient failure is tried again after these delays, each with a topic of its own "
        "(<requests>.retry.5s); the last one is for all further attempts. An empty list retries in place.",
    )
    in_place_attempts: Whole = Field(
        default=2, ge=1, le=100, description="Attempts in place when a worker was lost, before each retry."
    )
    retry_initial_s: Number = Field(
        default=0.5, gt=0, le=60, description="First pause between attempts in place."
    )
    retry_max_s: Number = Field(default=10, gt=0, le=600, description="Longest pause between them.")
    record_timeout_s: Number = Field(
        default=600, gt=0, le=86_400, description="For one attempt of one record."
    )
    drain_timeout_s: Number = Field(default=10, ge=0, le=600, description="For work in flight at shutdown.")
    stale_after_s: Number = Field(
        default=120,
        gt=0,
        le=3600,
        description="Unhealthy when the Kafka loop was silent for so long. At least transaction_timeout_s + "
        f"3 x settle_timeout_s + {ABANDONED_S:g}, which it may wait for a broker.",
    )
    session_timeout_s: Number = Field(
        default=10,
        ge=1,
        le=300,
        description="A dead replica's partitions move after so long; with group_protocol consumer the broker "
        "decides (group.consumer.session.timeout.ms).",
    )
    breaker: BreakerSettings = Field(default=BreakerSettings(), description="Breaker.")

    @model_validator(mode="after")
    def _patient(self) -> Self:
        longest_s = self.committed_timeout_s + 3 * self.settle_timeout_s
        if self.stale_after_s < longest_s:
            raise ValueError(
                f"stale_after_s {self.stale_after_s:g} is below {longest_s:g}, for which a healthy loop may "
                f"wait: transaction_timeout_s + 3 x settle_timeout_s + {ABANDONED_S:g}"
            )
        return self

    @property
    def committed_timeout_s(self) -> float:
        """How long the committed offsets are waited for while a transaction of the group is open."""
        return self.transaction_timeout_s + ABANDONED_S

    @field_validator("max_attempts_by_class")
    @classmethod
    def _known(cls, value: dict[str, int]) -> dict[str, int]:
        for name in value:
            if name not in COUNTED_ERRORS:
                raise refusal((name,), None, unknown(name, sorted(COUNTED_ERRORS)))
        return {**ATTEMPTS_BY_CLASS, **value}

    @field_validator("retry_delays_s")
    @classmethod
    def _apart(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len({round(delay_s * 1000) for delay_s in value}) != len(value):
            raise ValueError(f"the delays must differ by a millisecond at least, found {list(value)}")
        return value

    @model_validator(mode="after")
    def _pauses_grow(self) -> Self:
        if self.retry_max_s < self.retry_initial_s:
            raise refusal(("retry_max_s",), self.retry_max_s, "allowed: at least retry_initial_s")
        return self
