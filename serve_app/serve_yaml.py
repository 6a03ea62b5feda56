"""The keys of a Serve YAML that are Ray's: checked strictly, since Ray drops what it does not know.

Ray's own models say which keys exist and validate their values. Keys at the top that start with ``x-`` are
free for anchors and notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ray.serve.config import (
    AutoscalingConfig,
    AutoscalingPolicy,
    GangSchedulingConfig,
    HTTPOptions,
    RequestRouterConfig,
)
from ray.serve.schema import ServeDeploySchema

from serve_app.config import args_of, read_yaml, settings_from
from serve_app.contradictions import contradictions
from serve_app.errors import SettingsError
from serve_app.ray_limits import (
    applications_of,
    deployments_of,
    impossible,
    own_deployments,
    refusals,
)
from serve_app.schema.ranges import models_in
from serve_app.schema.violations import Place, dotted, unknown
from serve_app.settings import Settings, deployment_of

DEPLOYMENTS = ("Broker", "Consumer", "Decoder", "Captioner", "Ingress")
NAMED_CAPTIONER = deployment_of("")
NOTES = "x-"
POLICY = "autoscaling_policy"
DEPLOYMENT_DEPTH = 4  # applications, its number, deployments, its number: Ray refuses some of them whole
LATE: dict[str, type[BaseModel]] = {
    "autoscaling_config": AutoscalingConfig,
    "request_router_config": RequestRouterConfig,
    "gang_scheduling_config": GangSchedulingConfig,
}


def check_document(path: Path, env: Mapping[str, str], folder: Path) -> tuple[list[str], Settings | None]:
    """Every violation in a Serve YAML, Ray's keys and ours, and the settings where there are any."""
    try:
        document = read_yaml(path)
    except SettingsError as error:
        return [str(error)], None
    found = check_ray_keys(document)
    try:
        settings = settings_from(args_of(document, path), env, folder)
    except SettingsError as error:
        return found + str(error).splitlines(), None
    return [*found, *contradictions(document, settings)], settings


def check_ray_keys(document: Mapping[str, Any]) -> list[str]:
    """Violations outside ``args``: unknown keys, impossible values, deployments that do not exist."""
    own = {key: value for key, value in document.items() if not str(key).startswith(NOTES)}
    refused: dict[Place, str] = {}
    for place, told in (*impossible(own), *_bad_values(own)):
        if not any(given[: len(place)] == place for given in refused) or len(place) < DEPLOYMENT_DEPTH:
            refused.setdefault(place, told)
    lines = [f"{dotted(place) or 'the file'}: {told}" for place, told in refused.items()]
    unknown_keys = dict.fromkeys([*_unknown_keys(own, ServeDeploySchema, ()), *_late_unknown_keys(own)])
    return [*unknown_keys, *lines, *_bad_names(own)]


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


def _bad_values(document: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    yield from refusals(document, ServeDeploySchema, ())
    if isinstance(document.get("http_options"), dict):
        # Ray compares the two with each other only where both are said.
        said = {"ssl_certfile": None, "ssl_keyfile": None} | document["http_options"]
        yield from refusals(said, HTTPOptions, ("http_options",))
    # Ray takes these as plain mappings first, and validates them when it deploys.
    for place, deployment in deployments_of(document):
        for key, model in LATE.items():
            if isinstance(deployment.get(key), dict):
                yield from refusals(deployment[key], model, (*place, key))
    for place, application in applications_of(document):
        if isinstance(policy := application.get(POLICY), dict):
            yield from refusals(policy, AutoscalingPolicy, (*place, POLICY))


def _late_unknown_keys(document: Mapping[str, Any]) -> Iterator[str]:
    for place, deployment in deployments_of(document):
        for key, model in LATE.items():
            yield from _unknown_keys(deployment.get(key), model, (*place, key))
    for place, application in applications_of(document):
        yield from _unknown_keys(application.get(POLICY), AutoscalingPolicy, (*place, POLICY))


def _bad_names(document: Mapping[str, Any]) -> Iterator[str]:
    seen: set[tuple[Place, str]] = set()
    for place, deployment in own_deployments(document):
        name, where = deployment.get("name"), dotted((*place, "name"))
        if not isinstance(name, str):
            continue
        if name not in DEPLOYMENTS and not name.startswith(NAMED_CAPTIONER):
            yield f"{where}: {name!r} is no deployment of capstream; allowed: {', '.join(DEPLOYMENTS)}"
        if (place[:2], name) in seen:
            yield f"{where}: {name!r} stands twice in this application"
        seen.add((place[:2], name))
