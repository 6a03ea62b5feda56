"""HTTP: the same pipeline, one video at a time and synchronous, and what the consumers are doing.

Serve pickles the routes where the class is decorated: whatever they use stands above it, and annotations
are not postponed, since names that only annotations use would be lost.
"""

import asyncio
import uuid
from typing import Any, Literal, assert_never

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import Field
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.deployments.calls import answer, answers
from serve_app.deployments.openapi import REQUEST_BODY, Api
from serve_app.errors import Failure, OverloadedError, RequestInvalidError
from serve_app.schema import Captioned, CaptionRecord, Closed
from serve_app.schema.values import parse
from serve_app.settings import Settings
from serve_app.video.job import Contained

STATUS_TIMEOUT_S = 10.0
DECODERS_TIMEOUT_S = 2.0
RETRY_AFTER_S = 5

api = Api(
    title="capstream",
    summary="Captions videos: over Kafka in bulk, over HTTP one at a time.",
    version="1",
)


class Problem(Closed):
    """Why there is no caption."""

    family: Literal["transient", "permanent"] = Field(description="Whether trying again may help.")
    stage: str
    error_class: str
    message: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    422: {"model": Problem, "description": "This video will never be captioned."},
    503: {"model": Problem, "description": "Another try may succeed."},
}


class ConsumerStatus(Closed):
    """One consumer replica."""

    replica: str
    in_flight: int = Field(ge=0, description="Records taken and not yet settled.")
    in_flight_bytes: int = Field(ge=0)
    settled: int = Field(ge=0, description="Records settled since the replica started.")
    paused: bool = Field(description="Whether fetching is paused because enough is in flight.")
    stopped: str | None = Field(description="Why it reads no more; null while it reads.")
    watermarks: dict[str, int] = Field(description="By topic-partition: the first offset that is not done.")
    partitions: int | None = Field(
        ge=1, description="Of all topics that the group reads; null where the broker does not say."
    )
    undone: dict[str, int] = Field(
        description="By topic-partition: offsets that are not done, which are records and the markers of "
        "transactions behind them; left out where the broker does not say."
    )


class DecoderStatus(Contained):
    """One decoder replica: what stands between its decoding processes and the machine."""

    replica: str


class Status(Closed):
    """All replicas of consumer and decoder, and the sums of the consumers."""

    in_flight: int = Field(ge=0)
    undone: int | None = Field(
        ge=0,
        description="null while a partition has no owner, or a consumer or the broker does not answer.",
    )
    watermarks: dict[str, int]
    undone_by_partition: dict[str, int]
    consumers: list[ConsumerStatus] = Field(description="Those that answer within ten seconds.")
    decoders: list[DecoderStatus] = Field(description="Those that answer within two seconds.")


def _problem(failure: Failure) -> JSONResponse:
    problem = Problem(
        family=failure.family,
        stage=failure.stage,
        error_class=failure.error_class,
        message=failure.message,
    )
    status = 422 if failure.family == "permanent" else 503
    wait = failure.error_class == OverloadedError.__name__
    headers = {"Retry-After": str(RETRY_AFTER_S)} if wait else {}
    return JSONResponse(problem.model_dump(), status_code=status, headers=headers)


@serve.deployment(name="Ingress")
@serve.ingress(api)
class Ingress:
    """Routes to the decoder, and asks every consumer replica for its state."""

    def __init__(
        self, settings: Settings, decoder: DeploymentHandle[Any], consumer: DeploymentHandle[Any]
    ) -> None:
        self._timeout_s = settings.consumer.record_timeout_s
        self._config_hash = settings.config_hash()
        self._decoder = decoder
        self._consumer = consumer

    @api.post(
        "/v1/captions",
        response_model=CaptionRecord,
        responses=PROBLEMS,
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def caption(self, http: Request) -> Any:  # noqa: ANN401  either model
        """Caption one video now: 422 where it never will be, 503 where it is worth another try.

        The body is what a record on Kafka would hold: a JSON object, a bare URL, or a list of chat messages.
        """
        try:
            request = parse(await http.body())
        except RequestInvalidError as error:
            return _problem(Failure.of(error))
        outcome: Captioned | Failure = await answer(self._decoder.caption.remote(request), self._timeout_s)
        match outcome:
            case Failure():
                return _problem(outcome)
            case Captioned():
                return CaptionRecord(
                    id=request.id or str(uuid.uuid4()),
                    request=None,
                    attempts=1,
                    config_hash=self._config_hash,
                    metadata=request.metadata,
                    **{name: getattr(outcome, name) for name in Captioned.model_fields},
                )
            case _:
                assert_never(outcome)

    @api.get("/v1/status")
    async def status(self) -> Status:
        """Return what is in flight, the watermarks, the undone records, and how decoding is contained."""
        asked = asyncio.create_task(answers(self._decoder, DecoderStatus, DECODERS_TIMEOUT_S))
        consumers = await answers(self._consumer, ConsumerStatus, STATUS_TIMEOUT_S)
        undone = {place: n for one in consumers.found for place, n in one.undone.items()}
        watermarks = {place: at for one in consumers.found for place, at in one.watermarks.items()}
        # A partition that nobody owns at the moment has no watermark, and may be full of records.
        owned = any(len(watermarks) == one.partitions for one in consumers.found)
        known = consumers.complete and owned and undone.keys() >= watermarks.keys()
        return Status(
            in_flight=sum(one.in_flight for one in consumers.found),
            undone=sum(undone.values()) if known else None,
            watermarks=watermarks,
            undone_by_partition=undone,
            consumers=consumers.found,
            decoders=(await asked).found,
        )
