"""What Ray's own models let through and should not: values that fail late, mean nothing or are ignored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Gt
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from ray import serve
from ray.runtime_env import RuntimeEnv
from ray.serve.schema import RayActorOptionsSchema, ServeDeploySchema

from serve_app.config import is_own
from serve_app.schema.numbers import OptionalNumber, OptionalWhole, Whole, wants_number
from serve_app.schema.ranges import models_in, range_of
from serve_app.schema.violations import Place, plain, unknown, violations
from serve_app.settings import deployment_of, is_secret
from serve_app.settings.captioner import Changeable

ROUTE = "allowed: / or /path, without a slash at its end, without { and }"
PLACEMENT = (
    "ray_actor_options",
    "placement_group_bundles",
    "placement_group_strategy",
    "max_replicas_per_node",
)
ONE_NODE = "allowed: 1, since the embedded broker is one node"
Refusals = Iterator[tuple[Place, str]]


class Listening(BaseModel):
    """Bounds for what Ray's proxies listen with."""

    port: Whole = Field(default=8000, ge=1, le=65_535)
    request_timeout_s: OptionalNumber = Field(default=None, gt=0)
    keep_alive_timeout_s: Whole = Field(default=5, ge=0)


def _whole_above_one(value: float | None) -> float | None:
    if value is not None and value > 1 and value != int(value):
        raise ValueError("above 1 only whole numbers")
    return value


Amount = Annotated[OptionalNumber, AfterValidator(_whole_above_one)]


class Actor(BaseModel):
    """Bounds for what a replica takes of its node."""

    num_cpus: Amount = Field(default=None, ge=0)
    num_gpus: Amount = Field(default=None, ge=0)


class Replicas(BaseModel):
    """Bounds for how many replicas a deployment has."""

    num_replicas: Annotated[Whole, Gt(0)] | Literal["auto"] | None = None
    max_replicas_per_node: OptionalWhole = Field(default=None, ge=1, le=100)


def impossible(document: Mapping[str, Any]) -> Refusals:
    """Place and sentence of each value outside ``args`` that cannot be meant."""
    listening = document.get("http_options")
    if isinstance(listening, Mapping) and listening.get("ssl_keyfile_password"):
        told = "a secret may not stand in the file; use a key file without one"
        yield ("http_options", "ssl_keyfile_password"), told
    for key in ("http_options", "grpc_options"):
        yield from refusals(document.get(key, {}), Listening, (key,))
    for place, application in applications_of(document):
        yield from _bad_route(application, place)
        yield from _bad_environment(application.get("runtime_env"), (*place, "runtime_env"))
    for place, deployment in deployments_of(document):
        yield from refusals(deployment, Replicas, place)
        options = deployment.get("ray_actor_options")
        if isinstance(options, dict):
            here = (*place, "ray_actor_options")
            yield from refusals(options, Actor, here)
            yield from _bad_resources(options.get("resources"), (*here, "resources"))
            yield from _bad_environment(
                options.get("runtime_env"), (*place, "ray_actor_options", "runtime_env")
            )
    for place, deployment in own_deployments(document):
        yield from _refused_by_serve(deployment, place)
        if deployment.get("name") == "Broker":
            yield from _many_brokers(deployment, place)
        yield from _bad_user_config(deployment, place)
    yield from _switches(document, ServeDeploySchema, ())


def _bad_user_config(deployment: Mapping[str, Any], place: Place) -> Refusals:
    given, name = deployment.get("user_config"), str(deployment.get("name"))
    if given is None:
        return
    if not name.startswith(deployment_of(None)):
        told = "only captioners take one; what other deployments take stands in args"
        yield (*place, "user_config"), told
    else:
        yield from refusals(given, Changeable, (*place, "user_config"))


def refusals(value: object, model: type[BaseModel], place: Place) -> Refusals:
    """What a model refuses, unknown keys apart: those are told for all models in one place."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        for one in violations(error, model):
            if not one.told.startswith("unknown key"):
                hidden = any(is_secret(str(step)) for step in one.path)
                yield (*place, *one.path), one.sentence("" if hidden else plain(one.value))
    except (ValueError, TypeError, AttributeError) as error:
        # Some of Ray's validators fail on what they do not expect.
        yield place, f"Ray refuses it: {error}"


def applications_of(document: Mapping[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The applications of a document and where they stand."""
    applications = document.get("applications")
    for index, application in enumerate(applications if isinstance(applications, list) else []):
        if isinstance(application, dict):
            yield ("applications", index), application


def deployments_of(document: Mapping[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The deployments of all applications and where they stand."""
    for place, application in applications_of(document):
        deployments = application.get("deployments")
        for index, deployment in enumerate(deployments if isinstance(deployments, list) else []):
            if isinstance(deployment, dict):
                yield (*place, "deployments", index), deployment


def own_deployments(document: Mapping[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Those of capstream: other applications of the file may name theirs as they like."""
    own = [place for place, application in applications_of(document) if is_own(application)]
    return ((place, one) for place, one in deployments_of(document) if place[:2] in own)


def _switches(value: object, model: type[BaseModel], place: Place) -> Refusals:
    # Ray takes true for the number 1.
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        field = model.model_fields.get(key)
        if field is None:
            continue
        if isinstance(inner, bool) and wants_number(field.annotation):
            yield (*place, key), f"{plain(inner)} is refused; allowed: {range_of(field)}"
        for below in models_in(field.annotation):
            items = enumerate(inner) if isinstance(inner, list) else [(None, inner)]
            for index, item in items:
                yield from _switches(item, below, (*place, key) if index is None else (*place, key, index))


def _bad_route(application: Mapping[str, Any], place: Place) -> Refusals:
    route = application.get("route_prefix")
    if not isinstance(route, str):
        return
    if not route.startswith("/") or (route.endswith("/") and route != "/") or set("{}") & set(route):
        yield (*place, "route_prefix"), f"{plain(route)} is refused; {ROUTE}"


def _bad_environment(value: object, place: Place) -> Refusals:
    known = sorted(name for name in RuntimeEnv.known_fields if not name.startswith("_"))
    for key in value if isinstance(value, Mapping) else ():
        if key not in RuntimeEnv.known_fields:
            yield (*place, key), unknown(str(key), known)
    variables = value.get("env_vars") if isinstance(value, Mapping) else None
    for name, text in variables.items() if isinstance(variables, Mapping) else ():
        here = (*place, "env_vars", name)
        if is_secret(str(name).replace("_", ".")) and text:
            yield here, "a secret may not stand in the file; set it for the processes"
        elif not isinstance(text, str):
            yield here, f"{plain(text)} is refused; allowed: text, in quotes"


def _refused_by_serve(deployment: Mapping[str, Any], place: Place) -> Refusals:
    given = {key: deployment[key] for key in PLACEMENT if deployment.get(key) is not None}
    options = given.get("ray_actor_options")
    if isinstance(options, Mapping):
        # Unknown keys are told for all models in one place.
        known = RayActorOptionsSchema.model_fields
        given["ray_actor_options"] = {key: value for key, value in options.items() if key in known}
    for key, value in given.items():
        if told := _told_by_serve({key: value}):
            yield (*place, key), told
            return
    if told := _told_by_serve(given):
        yield place, told


def _told_by_serve(options: Mapping[str, Any]) -> str:
    try:
        _NOTHING.options(**options)
    except (ValueError, TypeError) as error:
        return f"Ray refuses it: {' '.join(str(error).split())}"
    return ""


@serve.deployment(name="nothing")
class _Nothing:
    """What Ray's options are tried on."""


_NOTHING: Any = _Nothing


def _bad_resources(value: object, place: Place) -> Refusals:
    for name, amount in value.items() if isinstance(value, Mapping) else ():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount >= 0:
            yield (*place, name), f"{plain(amount)} is refused; allowed: a number, at least 0"


def _many_brokers(deployment: Mapping[str, Any], place: Place) -> Refusals:
    scaling = deployment.get("autoscaling_config")
    replicas = deployment.get("num_replicas")
    said: dict[Place, object] = {("num_replicas",): replicas}
    if isinstance(scaling, Mapping):
        said[("autoscaling_config", "max_replicas")] = scaling.get("max_replicas")
    for path, value in said.items():
        if value == "auto" or (isinstance(value, int) and value > 1):
            yield (*place, *path), f"{plain(value)} is refused; {ONE_NODE}"
