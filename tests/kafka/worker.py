"""A consumer process with the real loop, clients and dispatcher; its tier takes its time and nothing else.

``python -m tests.kafka.worker SETTINGS`` with settings as JSON. A request whose URL holds ``kill`` kills the
process, one that holds ``fail`` fails for its first two attempts. SIGTERM drains and leaves.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import random
import signal
import sys
import threading
from collections import Counter

from consumers.backlog import Work
from consumers.dispatch import Dispatcher, Outcome, Tell
from consumers.kafka import connect
from consumers.parts import attempts_of, parts_of, system_clocks, target_of
from consumers.records import OutputRecord
from consumers.runner import Pace, Runner
from consumers.settlement import Ticket
from serve_app.errors import Failure, SourceUnavailableError
from serve_app.schema import CaptionRequest
from serve_app.settings import Settings
from tests.unit.consumers.samples import CAPTIONED

LONGEST_S = 0.3
failed: Counter[str] = Counter()


async def call(request: CaptionRequest, _tell: Tell) -> Outcome:
    await asyncio.sleep(random.uniform(0.02, LONGEST_S))
    url = str(request.source)
    if "kill" in url:
        os.kill(os.getpid(), signal.SIGKILL)
    if "fail" in url and failed[url] == 0:
        failed[url] += 1
        return Failure.of(SourceUnavailableError("HTTP 503"))
    return CAPTIONED


async def main(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    clocks = system_clocks()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def finish(ticket: Ticket, outputs: tuple[OutputRecord, ...]) -> None:
        runner.finish(ticket, outputs)

    def start(work: Work) -> None:
        loop.call_soon_threadsafe(dispatcher.start, work)

    dispatcher = Dispatcher(call, finish, attempts_of(settings), target_of(settings, "test"), clocks.epoch_ms)
    pace = Pace(settings.consumer.settle_interval_ms / 1000)
    runner = Runner(connect(settings), parts_of(settings), start, pace, clocks)
    thread = threading.Thread(target=run, args=(runner,), daemon=True)
    thread.start()
    await stop.wait()
    runner.pause_for_good()
    await dispatcher.drain(5)
    runner.stop()
    await asyncio.to_thread(thread.join)


def run(runner: Runner) -> None:
    try:
        runner.run()
    except BaseException as error:  # noqa: BLE001  the process's outermost loop
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(70)


if __name__ == "__main__":
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")
    asyncio.run(main(Settings.model_validate_json(sys.argv[1])))
