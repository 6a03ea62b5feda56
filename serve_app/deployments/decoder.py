"""The CPU tier: a request in, its caption out; frames go to the captioner by reference."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import numpy as np
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.ask import Ask, asked
from serve_app.deployments.calls import answer
from serve_app.errors import Failure, RecordError
from serve_app.order import Order, Orders
from serve_app.preparation import Prepared, Windowed
from serve_app.result import Place, Said, captioned, reused
from serve_app.reuse import Kept
from serve_app.schema import Caption, Captioned, CaptionRequest
from serve_app.settings import Settings
from serve_app.video.job import Contained
from serve_app.windowed import Tell, caption_windows, ignored

Frames: TypeAlias = "np.ndarray | ray.ObjectRef[np.ndarray]"
BY_REFERENCE_BYTES = 256 * 1024  # below, a copy in the message costs less than an object in the store


class Prepare(Protocol):
    """What the decoder needs of :class:`serve_app.preparation.Preparation`."""

    async def start(self) -> None:
        """Get ready."""

    @property
    def contained(self) -> Contained:
        """What stands around the decoding processes."""

    def open(self, order: Order) -> AbstractAsyncContextManager[Prepared | Windowed | Kept]:
        """Fetch and decode, or find the caption."""

    async def keep(self, key: str, captioned: Captioned) -> None:
        """Keep a caption."""

    async def close(self) -> None:
        """Let go of everything."""


@serve.deployment(name="Decoder")
class Decoder:
    """Fetches, decodes, hands over, and waits for the caption."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        settings: Settings,
        captioners: Mapping[str | None, DeploymentHandle[Any]],
        prepare: Callable[[Settings], Prepare],
    ) -> None:
        self._orders = Orders(settings)
        self._captioners = captioners
        self._prepare = prepare(settings)
        worker = f"{serve.get_replica_context().replica_id.unique_id}/{os.getpid()}"
        self._place = Place(ray.util.get_node_ip_address(), worker)
        await self._prepare.start()

    async def caption(self, request: CaptionRequest) -> Captioned | Failure:
        """Caption one video; what goes wrong with it comes back as a value."""
        return await self._caption(request, ignored)

    async def windows(self, request: CaptionRequest) -> AsyncIterator[Caption | Captioned | Failure]:
        """The same as a stream: the captions of a long video's windows as they finish, then the whole."""
        told: asyncio.Queue[Caption | None] = asyncio.Queue()
        task = asyncio.create_task(self._caption(request, told.put_nowait))
        task.add_done_callback(lambda _: told.put_nowait(None))
        try:
            while (caption := await told.get()) is not None:
                yield caption
            yield await task
        finally:
            task.cancel()

    async def _caption(self, request: CaptionRequest, tell: Tell) -> Captioned | Failure:
        try:
            order = self._orders.of(request)
            async with self._prepare.open(order) as prepared:
                if isinstance(prepared, Kept):
                    return reused(prepared, self._place)
                asker = Handle(self._captioners[order.captioner], order.settings.timeout_s)
                if isinstance(prepared, Windowed):
                    made = await caption_windows(prepared, order, asker, self._place, tell)
                    return await self._kept(prepared.key, made)
                handed = await asker.hand_over(prepared.frames)
                facts, key = prepared.facts, prepared.key
            # The child is free again: only the frames in the store wait for the caption.
            began = time.monotonic()
            ask = asked(facts, order, deadline_s=time.time() + order.settings.timeout_s)
            said = await asker.ask(handed, ask)
            if isinstance(said, Failure):
                return said
            made = captioned(facts, said, order, time.monotonic() - began, self._place)
        except RecordError as error:
            return Failure.of(error)
        return await self._kept(key, made)

    async def _kept(self, key: str | None, made: Captioned) -> Captioned:
        if key is not None:
            await self._prepare.keep(key, made)
        return made

    async def status(self) -> dict[str, object]:
        """State of this replica, as :class:`serve_app.deployments.ingress.DecoderStatus` shows it."""
        return {"replica": self._place.worker, **self._prepare.contained.model_dump(mode="json")}

    async def check_health(self) -> None:
        """Children are replaced as they die, so a replica that answers is a healthy one."""

    async def __del__(self) -> None:
        await self._prepare.close()


class Handle:
    """Asks a captioner over its handle, with frames by reference where a copy would cost more."""

    def __init__(self, captioner: DeploymentHandle[Any], timeout_s: float) -> None:
        self._captioner, self._timeout_s = captioner, timeout_s

    async def hand_over(self, frames: np.ndarray) -> Frames:
        """The frames as they travel."""
        # The view is only lent: either way of handing over copies it once, and the store's copy is then
        # mapped by the captioner without another.
        if frames.nbytes < BY_REFERENCE_BYTES:
            return frames.copy()
        return await asyncio.to_thread(ray.put, frames)

    async def ask(self, handed: Frames | None, ask: Ask) -> Said | Failure:
        """What the captioner says in time."""
        said: Said | Failure = await answer(self._captioner.caption.remote(handed, ask), self._timeout_s)
        return said
