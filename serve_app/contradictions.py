"""What each may be, and not both together: Ray's keys of a Serve YAML, and our settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.ray_limits import own_deployments
from serve_app.schema.violations import dotted
from serve_app.settings import (
    DEFAULT_ONGOING_REQUESTS,
    CaptionerSettings,
    EmbeddedBroker,
    Settings,
    VllmSettings,
    deployment_of,
    path_of,
)

SHUTDOWN_S = 20.0  # Ray's own graceful_shutdown_timeout_s
NAMED = deployment_of("")
HTTP_PORT = 8000  # Serve's own http_options.port


def contradictions(document: Mapping[str, Any], settings: Settings) -> Iterator[str]:
    """Where the deployments' keys and the settings cannot both be meant."""
    allowed: dict[str, int] = {}
    for place, deployment in own_deployments(document):
        match deployment.get("name"):
            case "Broker" if settings.broker.kind != "embedded":
                # Ray refuses options of a deployment that is not there, without saying why it is not.
                told = f"'Broker' needs broker.kind embedded, found {settings.broker.kind}"
                yield f"{dotted((*place, 'name'))}: {told}"
            case "Consumer":
                given = deployment.get("graceful_shutdown_timeout_s")
                ends_s, drain_s = SHUTDOWN_S if given is None else given, settings.consumer.drain_timeout_s
                if isinstance(ends_s, int | float) and ends_s < drain_s:
                    told = f"{ends_s:g} is refused; allowed: at least consumer.drain_timeout_s, {drain_s:g}"
                    yield f"{dotted((*place, 'graceful_shutdown_timeout_s'))}: {told}"
            case str(name) if name.startswith(NAMED) and name not in map(deployment_of, settings.captioners):
                known = ", ".join(map(deployment_of, settings.captioners)) or "none"
                yield f"{dotted((*place, 'name'))}: {name!r} has no args.captioners; those that have: {known}"
            case str(name) if isinstance(said := deployment.get("max_ongoing_requests"), int):
                allowed[name] = said
    yield from _one_port_for_two(document, settings)
    gpus = {str(deployment.get("name")): _gpus(deployment) for _, deployment in own_deployments(document)}
    for own, captioner in settings.named_captioners.items():
        yield from _too_few_gpus(own, captioner, gpus.get(deployment_of(own), 0))
        yield from _full_batches(own, captioner, allowed.get(deployment_of(own), DEFAULT_ONGOING_REQUESTS))


def _full_batches(name: str | None, captioner: CaptionerSettings, allowed: int) -> Iterator[str]:
    batch, deployment = captioner.batch, deployment_of(name)
    filled = f"max_batch_size {batch.max_batch_size} x overlap {batch.overlap}"
    if (needed := batch.max_batch_size * batch.overlap) > allowed:
        yield (
            f"args.{dotted(path_of(name))}.batch: {filled} is {needed} requests, but a "
            f"{deployment} takes {allowed}; allowed: at most max_ongoing_requests "
            f"of the deployment {deployment}"
        )


def _gpus(deployment: Mapping[str, Any]) -> float:
    options, bundles = deployment.get("ray_actor_options"), deployment.get("placement_group_bundles")
    own = options.get("num_gpus") if isinstance(options, Mapping) else None
    shares = [bundle.get("GPU") for bundle in bundles or [] if isinstance(bundle, Mapping)]
    return sum(share for share in shares or [own] if isinstance(share, int | float))


def _too_few_gpus(name: str | None, captioner: CaptionerSettings, gpus: float) -> Iterator[str]:
    if not isinstance(captioner.engine, VllmSettings):
        return
    # One engine without a GPU is vLLM on the CPU; several parts have one each.
    if (needed := captioner.engine.tensor_parallel_size) > 1 and gpus < needed:
        place = f"args.{dotted(path_of(name))}.engine.tensor_parallel_size"
        yield (
            f"{place}: {needed} is refused; allowed: at most the GPUs that the deployment "
            f"{deployment_of(name)} reserves, {gpus:g}, by its num_gpus or bundles"
        )


def _one_port_for_two(document: Mapping[str, Any], settings: Settings) -> Iterator[str]:
    http = document.get("http_options")
    port = http.get("port", HTTP_PORT) if isinstance(http, Mapping) else HTTP_PORT
    own = settings.broker
    if isinstance(own, EmbeddedBroker) and port in (own.port, own.port + 1):
        yield (
            f"args.broker.port: {own.port} is refused; allowed: one that leaves http_options.port, {port}, "
            "to Serve; the broker takes the next one as well"
        )
