"""How each kind of fault is done to the running application."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import psutil
from confluent_kafka import Consumer

from consumers.clients import consumer_config
from tests.chaos.application import Application, ChaosError
from tests.chaos.nodes import Nodes
from tests.chaos.schedule import Fault, Form, Kind

log = logging.getLogger("tests.chaos.member")
VICTIM_S = 90.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Target:
    """What is broken."""

    application: Application
    nodes: Nodes
    form: Form

    def strike(self, fault: Fault) -> float:
        """Do it; the time (monotonic) at which it was done, or began."""
        match fault.kind:
            case Kind.CONSUMER | Kind.DECODER | Kind.CAPTIONER:
                name = fault.kind.name.capitalize()
                return self._kill(lambda: self.application.replicas(name), fault)
            case Kind.CHILD:
                return self._kill(self.application.children, fault)
            case Kind.CONTROLLER:
                return self._kill(self.application.controllers, fault)
            case Kind.BROKER | Kind.OUTAGE:
                return self._kill_brokers(fault)
            case Kind.MEMBER:
                return _timed(threading.Thread(target=self._join_and_leave, daemon=True).start)
            case Kind.DEPLOY | Kind.REDEPLOY:
                self._change(fault.kind)
                return _timed(self.application.deploy)
            case _:
                assert_never(fault.kind)

    def _kill(self, victims: Callable[[], list[psutil.Process]], fault: Fault) -> float:
        # What was killed before may not be back yet.
        deadline = time.monotonic() + VICTIM_S
        while not (found := victims()):
            if time.monotonic() > deadline:
                raise ChaosError(f"{fault.kind.value}: no such process came within {VICTIM_S:g} s")
            time.sleep(POLL_S)
        return _timed(found[int(fault.pick * len(found))].kill)

    def _kill_brokers(self, fault: Fault) -> float:
        self.nodes.await_repaired()
        nodes = self.nodes.processes
        if fault.kind is Kind.OUTAGE:
            return _timed(lambda: self.nodes.kill(nodes, self.form.outage_s))
        victim = nodes[int(fault.pick * len(nodes))]
        return _timed(lambda: self.nodes.kill([victim], self.form.down_s))

    def _join_and_leave(self) -> None:
        settings = self.application.settings
        consumer = Consumer({**consumer_config(settings), "log_level": 0}, logger=log)
        consumer.subscribe([settings.topics.requests, *settings.retry_topics])
        until_s = time.monotonic() + self.form.member_s
        while time.monotonic() < until_s:
            consumer.poll(POLL_S)  # what it reads it neither does nor commits
        consumer.close()

    def _change(self, kind: Kind) -> None:
        (application,) = self.application.document["applications"]
        if kind is Kind.REDEPLOY:
            application["args"]["consumer"]["settle_interval_ms"] = 250
            return
        for deployment in application["deployments"]:
            if deployment["name"] == "Decoder":
                deployment["max_ongoing_requests"] -= 4


def _timed(action: Callable[[], object]) -> float:
    now_s = time.monotonic()
    action()
    return now_s
