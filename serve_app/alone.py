"""One video captioned in this process, without Kafka and Ray."""

from __future__ import annotations

import time

import numpy as np

from serve_app.ask import Ask, asked
from serve_app.engines.protocol import Engine
from serve_app.engines.table import build_engine
from serve_app.errors import Failure
from serve_app.order import Order, Orders
from serve_app.preparation import Preparation, Windowed
from serve_app.result import Place, Said, captioned, reused
from serve_app.reuse import Kept
from serve_app.schema import Captioned, CaptionRequest, EngineFacts
from serve_app.settings import Settings
from serve_app.windowed import caption_windows

HERE = Place("here", "here")


class Alone:
    """Asks an engine of this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def hand_over(self, frames: np.ndarray) -> np.ndarray:
        """A copy: the frames are only lent."""
        return frames.copy()

    async def ask(self, handed: np.ndarray | None, ask: Ask) -> Said | Failure:
        """What the engine says."""
        (outcome,) = await self._engine.generate([ask.prompt(handed)])
        if isinstance(outcome, Failure):
            return outcome
        return Said(outcome, EngineFacts(kind=self._engine.kind, model=self._engine.model), HERE.worker)


async def caption_alone(settings: Settings, request: CaptionRequest) -> Captioned:
    """The caption; raises the ``RecordError`` that says what went wrong."""
    order = Orders(settings).of(request)
    preparation, engine = Preparation(settings), build_engine(order.settings.engine)
    try:
        await engine.start()
        await preparation.start()
        return await _made(preparation, order, Alone(engine))
    finally:
        await preparation.close()
        await engine.close()


async def _made(preparation: Preparation, order: Order, asker: Alone) -> Captioned:
    async with preparation.open(order) as prepared:
        if isinstance(prepared, Kept):
            return reused(prepared, HERE)
        if isinstance(prepared, Windowed):
            made = await caption_windows(prepared, order, asker, HERE)
        else:
            began, ask = time.monotonic(), asked(prepared.facts, order, float("inf"))
            said = await asker.ask(prepared.frames, ask)
            if isinstance(said, Failure):
                raise said.raised()
            made = captioned(prepared.facts, said, order, time.monotonic() - began, HERE)
    if prepared.key is not None:
        await preparation.keep(prepared.key, made)
    return made
