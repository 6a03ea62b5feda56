"""Calls over a Serve handle, with every error of Ray's translated into a value.

Serve does not retry a call whose replica died, and a time-out of the caller does not stop the callee:
both are seen to here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator

from serve_app.bugs import named_by
from serve_app.errors import Failure, InternalError, OverloadedError, RecordError, WorkerLostError

# What `handle.method.remote(...)` is said to return; only the first kind is ever asked for here.
Response = DeploymentResponse[Any] | DeploymentResponseGenerator[Any]
Stream = DeploymentResponseGenerator[Any]
log = logging.getLogger("ray.serve")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answers(Generic[Model]):
    """What the replicas of a deployment said, and whether each of them did; false where there is none."""

    found: list[Model]
    complete: bool


async def answers(handle: DeploymentHandle[Any], model: type[Model], timeout_s: float) -> Answers[Model]:
    """Ask every replica for its ``status``.

    One may be down or have its hands full, which is no reason to keep the rest back.
    """
    try:
        async with asyncio.timeout(timeout_s):
            said = await handle.broadcast("status").results_async(return_exceptions=True)
    except (TimeoutError, RayError, RayServeException):
        return Answers([], complete=False)
    found = [model.model_validate(one) for one in said if not isinstance(one, BaseException)]
    return Answers(found, complete=len(found) == len(said) > 0)


async def answer(response: Response, timeout_s: float) -> Any:  # noqa: ANN401  as a handle's calls are
    """Wait for a response; what went wrong on the way comes back as a transient ``Failure``.

    A handle's calls are untyped, so the caller names the type of the answer.
    """
    return await _waited(_one(response), response, timeout_s)


async def followed(response: Stream, timeout_s: float, tell: Callable[[Any], None]) -> Any:  # noqa: ANN401  as above
    """The same for the last item of a stream; each item before it is told as it comes."""
    return await _waited(_last(response, tell), response, timeout_s)


async def _one(response: Response) -> Any:  # noqa: ANN401  as above
    return await response


async def _last(response: Stream, tell: Callable[[Any], None]) -> Any:  # noqa: ANN401  as above
    last: Any = None
    async for item in response:
        if last is not None:
            tell(last)
        last = item
    return last


async def _waited(answered: Coroutine[Any, Any, Any], response: Response, timeout_s: float) -> Any:  # noqa: ANN401  as above
    try:
        async with asyncio.timeout(timeout_s):
            return await answered
    except RayTaskError as error:
        return Failure.of(_bug(error))
    except TimeoutError:
        response.cancel()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        return Failure.of(WorkerLostError(f"no answer within {timeout_s:g} s"))
    except asyncio.CancelledError:
        response.cancel()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        raise
    except (RayError, RayServeException) as error:
        return Failure.of(_lost(error))


def _bug(error: RayTaskError) -> RecordError:
    # Tiers return their failures as values, so an exception is none of the two families.
    cause = error.cause if isinstance(error.cause, BaseException) else error
    log.error("a bug in another replica: %s", error)
    return InternalError(named_by(cause, str(error)))


def _lost(error: RayError | RayServeException) -> RecordError:
    if isinstance(error, BackPressureError):
        return OverloadedError("every replica is full")
    if isinstance(error, RayActorError):
        return WorkerLostError("the replica died while it held the request")
    return WorkerLostError(f"the request did not reach a replica: {type(error).__name__}")
