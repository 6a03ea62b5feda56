"""The course of one run: start, load, faults one after another, the end, and what the topics say then."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from consumers.audit import audit
from consumers.broker_node import free_ports
from consumers.tally import total
from tests.chaos.application import Application, Mode, document_for
from tests.chaos.faults import Target
from tests.chaos.feeder import Feeder
from tests.chaos.load import asks
from tests.chaos.nodes import three_nodes
from tests.chaos.report import Done, Effect, effects
from tests.chaos.schedule import Fault, Form, schedule
from tests.chaos.source import Source, source
from tests.chaos.tail import Tail, all_ends
from tests.chaos.verdict import Verdict, judged

LOOK_S = 0.1
BUSY = 4
STEADY_S = 2.0
WHOLE_S = 120.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run went; ``troubles`` are what was wrong beside the delivery itself."""

    verdict: Verdict
    effects: list[Effect]
    kills: int
    troubles: list[str]


@dataclass(slots=True)
class Load:
    """Requests going in and results coming out, and the faults meanwhile."""

    form: Form
    feeder: Feeder
    tail: Tail
    target: Target
    say: Say

    def await_ended(self, count: float) -> bool:
        """Wait until so many requests have ended; false if nothing ends any more."""
        resumed_s = time.monotonic()
        while len(self.tail.ended) < count:
            if not self.target.nodes.all_serve:
                resumed_s = time.monotonic()  # nothing can end while the brokers are away
            if time.monotonic() - max(resumed_s, self.tail.last_s) > self.form.stall_s:
                return False
            time.sleep(LOOK_S)
        return True

    def strike_all(self, faults: tuple[Fault, ...]) -> tuple[list[Done], list[str]]:
        """Do all faults, each when its share has ended; what was done, and a stall if there was one."""
        done: list[Done] = []
        free_s = 0.0
        shares = [*(fault.share for fault in faults), 1.0]
        self.feeder.allow(shares[0] * self.form.requests)
        for fault, following in zip(faults, shares[1:], strict=True):
            if not self.await_ended(fault.share * self.form.requests):
                return done, [self._stalled(done)]
            self.feeder.allow(following * self.form.requests)
            # Until all that a request goes through has work, and not only its first step.
            time.sleep(max(STEADY_S, free_s - time.monotonic()))
            if not self._await_work():
                return done, [f"no work was there for {fault.kind.value}"]
            at_s = self.target.strike(fault)
            free_s = time.monotonic() + self.form.gap_s
            done.append(Done(fault.kind, at_s, fault.kills))
            self.say(f"{len(self.tail.ended):>5} of {self.form.requests} ended: {fault.kind.value}")
        if not self.await_ended(self.form.requests):
            return done, [self._stalled(done)]
        return done, []

    def _await_work(self) -> bool:
        """Wait until requests are on their way: a fault in an idle application shows nothing."""
        deadline = time.monotonic() + self.form.stall_s
        while self.feeder.sent - len(self.tail.ended) < BUSY:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S / 10)
        return True

    def _stalled(self, done: list[Done]) -> str:
        after = done[-1].kind.value if done else "no fault"
        return (
            f"nothing ended for {self.form.stall_s:g} s after {after}; {len(self.tail.ended)} of "
            f"{self.form.requests} had; status: {self.target.application.status()}"
        )


def run(form: Form, mode: Mode, seed: int, folder: Path, say: Say) -> Outcome:
    """Do one run in this folder."""
    with ExitStack() as stack:
        nodes = stack.enter_context(three_nodes(folder / "kafka"))
        videos = stack.enter_context(source(folder))
        nodes.await_repaired()
        say(f"three brokers at {nodes.bootstrap_servers}")
        (port,) = free_ports(1)
        document = document_for(nodes.bootstrap_servers, port, mode)
        application = Application(folder, document, port)
        left: list[str] = []
        # Whatever happens, the application ends before its brokers do.
        stack.callback(lambda: left.extend(application.stop()))
        application.start()
        application.await_whole()
        say("the application runs")
        done, troubles, feeder, tail = _load(form, seed, Target(application, nodes, form), videos, say)
        if not troubles and not _whole(application):
            troubles.append(f"the application was not whole again after {WHOLE_S:g} s")
        nodes.await_repaired()
        settings = application.settings
        left.extend(application.stop())
        say("the application has ended; reading the topics anew")
        verdict = judged(
            feeder.expected, all_ends(settings), total(audit(settings)), refused=feeder.refused, left=left
        )
        found = effects(done, tail.captions, videos.fetches)
        return Outcome(verdict, found, sum(one.kills for one in done), troubles)


def _load(
    form: Form, seed: int, target: Target, videos: Source, say: Say
) -> tuple[list[Done], list[str], Feeder, Tail]:
    noise = random.Random(seed)
    wanted = asks(form.requests, noise)
    faults = schedule(form.counts, noise)
    settings = target.application.settings
    feeder, tail = Feeder(settings, wanted, videos.base_url, form.per_second), Tail(settings)
    with tail, feeder:
        done, troubles = Load(form, feeder, tail, target, say).strike_all(faults)
    return done, troubles, feeder, tail


def _whole(application: Application) -> bool:
    deadline = time.monotonic() + WHOLE_S
    while not application.whole():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True
