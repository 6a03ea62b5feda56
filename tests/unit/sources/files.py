"""A server of one file as real ones are: with versions, conditions and parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from aiohttp import web

OLD = "Mon, 05 Jan 2026 10:00:00 GMT"


@dataclass
class Served:
    """``body`` under any path; what was asked is written down, with the bytes that were sent."""

    body: bytes
    etag: str | None = '"v1"'
    modified: str | None = OLD
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    secret: str | None = None
    asked: list[str] = field(default_factory=list)

    def change(self, body: bytes) -> None:
        """Another version."""
        self.body, self.etag = body, f'"{hashlib.sha256(body).hexdigest()[:8]}"'

    async def answer(self, request: web.Request) -> web.StreamResponse:
        wanted, headers = request.headers.get("Range"), self._headers()
        self.asked.append(wanted or "all")
        if self.secret is not None and request.headers.get("Authorization") != self.secret:
            return web.Response(status=401)
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            self.asked[-1] = "known"
            return web.Response(status=304, headers=headers)
        same = request.headers.get("If-Range") in (None, self.etag or self.modified)
        if wanted is None or not self.ranges or not same:
            return web.Response(body=self.body, headers=headers)
        first, last = (int(one) for one in wanted.removeprefix("bytes=").split("-"))
        headers["Content-Range"] = f"bytes {first}-{last}/{len(self.body)}"
        return web.Response(status=206, body=self.body[first : last + 1], headers=headers)

    def _headers(self) -> dict[str, str]:
        said = {"ETag": self.etag, "Last-Modified": self.modified, "Accept-Ranges": "bytes"}
        return {name: value for name, value in said.items() if value} | self.headers
