"""The composition root: ``serve run configs/serve.yaml`` calls :func:`build`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from ray.serve import Application, Deployment

from consumers.broker_deployment import Broker
from consumers.deployment import Calls, Consumer
from serve_app.checks import checked
from serve_app.deployments.calls import answer, followed
from serve_app.deployments.captioner import BuildEngine, Captioner
from serve_app.deployments.decoder import Decoder, Prepare
from serve_app.deployments.ingress import Ingress
from serve_app.driver import find_driver, folder_of, refuse_bad_config
from serve_app.engines.table import build_engine
from serve_app.preparation import Preparation
from serve_app.settings import EmbeddedBroker, Settings, deployment_of


@dataclass(frozen=True, slots=True)
class Parts:
    """What the deployments are made of; benchmarks put in parts that do nothing."""

    prepare: Callable[[Settings], Prepare] = Preparation
    engine: BuildEngine = build_engine


def build(args: dict[str, Any]) -> Application:
    """Build the application from the ``args`` of a Serve YAML; ``SettingsError`` refuses bad ones."""
    driver = find_driver(args)
    refuse_bad_config(driver, os.environ)
    folder = folder_of(driver)
    return compose(checked(args, os.environ, folder).anchored(folder))


def compose(settings: Settings, parts: Parts = Parts()) -> Application:
    """Tie the deployments together; replica counts and resources are the Serve YAML's."""
    captioners: dict[str | None, Application] = {None: _bound(Captioner, settings.captioner, parts.engine)}
    for name, one in settings.captioners.items():
        named = cast("Deployment", Captioner).options(name=deployment_of(name))
        captioners[name] = _bound(named, one, parts.engine)
    decoder = _bound(Decoder, settings, captioners, parts.prepare)
    broker = _bound(Broker, settings) if isinstance(settings.broker, EmbeddedBroker) else None
    start = uuid.uuid4().hex
    consumer = _bound(Consumer, settings, decoder, broker, Calls(answer, followed), start)
    return _bound(Ingress, settings, decoder, consumer)


def _bound(deployment: object, *arguments: object) -> Application:
    # Ray's types say that its decorator returns the class that it was given.
    return cast("Deployment", deployment).bind(*arguments)
