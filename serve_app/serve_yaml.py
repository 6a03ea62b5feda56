"""The keys of a Serve YAML that are Ray's: checked strictly, since Ray drops what it does not know.

Ray's own models say which keys exist and validate their values. Keys at the top that start with ``x-`` are
free for anchors and notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ray.serve.config import AutoscalingConfig, GangSchedulingConfig, RequestRouterConfig
from ray.serve.schema import ServeDeploySchema

from serve_app.config import args_of, dotted, primary, read_yaml, settings_from, unknown
from serve_app.errors import SettingsError
from serve_app.ranges import models_in, range_of
from serve_app.settings import Settings, is_secret

DEPLOYMENTS = ("Broker", "Consumer", "Decoder", "Captioner", "Ingress")
NOTES = "x-"
LATE: dict[str, type[BaseModel]] = {
    "autoscaling_config": AutoscalingConfig,
    "request_router_config": RequestRouterConfig,
    "gang_scheduling_config": GangSchedulingConfig,
}
Place = tuple[str | int, ...]


def check_file(path: Path, env: Mapping[str, str]) -> list[str]:
    """Every violation in a Serve YAML, Ray's keys and ours; empty when all is well."""
    try:
        document = read_yaml(path)
    except SettingsError as error:
        return [str(error)]
    found = check_ray_keys(document)
    try:
        settings = settings_from(args_of(document, path), env)
    except SettingsError as error:
        return found + str(error).splitlines()
    return found + list(_idle_broker(document, settings))


def check_ray_keys(document: Mapping[str, Any]) -> list[str]:
    """Violations outside ``args``: unknown keys, impossible values, deployments that do not exist."""
    own = {key: value for key, value in document.items() if not str(key).startswith(NOTES)}
    return [*_unknown_keys(own, ServeDeploySchema, ()), *_bad_values(own), *_bad_names(own)]


def _unknown_keys(value: Any, model: type[BaseModel], place: Place) -> Iterator[str]:  # noqa: ANN401  YAML
    if not isinstance(value, dict):
        return
    known = model.model_fields
    for key, inner in value.items():
        if key not in known:
            yield f"{dotted((*place, key))}: {unknown(str(key), list(known))}"
            continue
        for below in models_in(known[key].annotation):
            if isinstance(inner, list):
                for index, item in enumerate(inner):
                    yield from _unknown_keys(item, below, (*place, key, index))
            else:
                yield from _unknown_keys(inner, below, (*place, key))


def _bad_values(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _refusals(document, ServeDeploySchema, ())
    # Ray takes these as plain mappings first, and validates them when it deploys.
    for place, deployment in _deployments(document):
        for key, model in LATE.items():
            if isinstance(deployment.get(key), dict):
                yield from _refusals(deployment[key], model, (*place, key))


def _refusals(value: object, model: type[BaseModel], place: Place) -> list[str]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        # Unknown keys are told already, with those of the models that would not refuse them.
        found = [item for item in primary(error) if item["type"] != "extra_forbidden"]
        return [_sentence((*place, *item["loc"]), item["msg"], item["input"]) for item in found]
    except (ValueError, TypeError, AttributeError) as error:
        # Some of Ray's validators fail on what they do not expect.
        return [f"{dotted(place) or 'the file'}: Ray refuses it: {error}"]
    return []


def _deployments(document: Mapping[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    applications = document.get("applications")
    for a, application in enumerate(applications if isinstance(applications, list) else []):
        deployments = application.get("deployments") if isinstance(application, dict) else None
        for d, deployment in enumerate(deployments if isinstance(deployments, list) else []):
            if isinstance(deployment, dict):
                yield ("applications", a, "deployments", d), deployment


def _sentence(place: Place, message: str, value: object) -> str:
    steps = tuple(step for step in place if not (isinstance(step, str) and ("[" in step or step.istitle())))
    hidden = isinstance(value, dict | list) or any(is_secret(str(step)) for step in steps)
    shown = "" if hidden else f"{str(value)[:60]!r} is refused: "
    model: type[BaseModel] | None = ServeDeploySchema
    allowed = ""
    for step in steps:
        if isinstance(step, int) or model is None:
            continue
        field = model.model_fields.get(step)
        allowed = f"; allowed: {range_of(field)}" if field is not None else ""
        inner = models_in(field.annotation) if field is not None else []
        model = inner[0] if inner else None
    return f"{dotted(steps)}: {shown}{message.removeprefix('Value error, ')}{allowed}"


def _idle_broker(document: Mapping[str, Any], settings: Settings) -> Iterator[str]:
    # Ray refuses options of a deployment that the application does not have, without saying why it has not.
    for place, deployment in _deployments(document):
        if deployment.get("name") == "Broker" and settings.broker.kind != "embedded":
            found = settings.broker.kind
            yield f"{dotted((*place, 'name'))}: 'Broker' needs broker.kind embedded, found {found}"


def _bad_names(document: Mapping[str, Any]) -> Iterator[str]:
    seen: set[tuple[Place, str]] = set()
    for place, deployment in _deployments(document):
        name, where = deployment.get("name"), dotted((*place, "name"))
        if not isinstance(name, str):
            continue
        if name not in DEPLOYMENTS:
            yield f"{where}: {name!r} is no deployment of capstream; allowed: {', '.join(DEPLOYMENTS)}"
        if (place[:2], name) in seen:
            yield f"{where}: {name!r} stands twice in this application"
        seen.add((place[:2], name))
