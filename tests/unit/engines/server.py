"""A server that speaks the OpenAI API as far as a captioner needs it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Server:
    """Answers with ``text``, after the failures that are still to come: status and headers of each."""

    text: str = "a dog"
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    raw: bytes | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.keys.add(request.headers.get("Authorization"))
        if request.path == "/v1/models":
            return web.json_response({"object": "list", "data": [{"id": "tiny", "object": "model"}]})
        self.asked.append(json.loads(await request.read()))
        if self.failures:
            status, headers = self.failures.pop(0)
            error = {"error": {"message": f"told {status}"}}
            return web.json_response(error, status=status, headers=headers)
        if self.raw is not None:
            return web.Response(body=self.raw, content_type="application/json")
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": self.text}}
        usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "tiny"}
        return web.json_response({**body, "choices": [choice], "usage": usage})
