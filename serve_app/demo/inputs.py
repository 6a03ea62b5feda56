"""What the demo submits: three videos given in three ways, a missing one, and a file that is none."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What is submitted under which id, and how it must end."""

    id: str
    url: str
    captioned: bool

    @property
    def value(self) -> bytes:
        """The record's value."""
        return json.dumps({"id": self.id, "url": self.url}).encode()


def requests_for(clips: list[Path], base_url: str) -> list[DemoRequest]:
    """Three ways to give a video, and two that cannot be one."""
    by_file, by_http, by_data = clips
    text = by_file.with_name("notes.mp4")
    text.write_text("This is not a video.\n" * 50)
    data = b64encode(by_data.read_bytes()).decode()
    return [
        DemoRequest("a file", by_file.as_uri(), captioned=True),
        DemoRequest("over HTTP", f"{base_url}/{by_http.name}", captioned=True),
        DemoRequest("a data: URI", f"data:video/mp4;base64,{data}", captioned=True),
        DemoRequest("missing", f"{base_url}/missing.mp4", captioned=False),
        DemoRequest("not a video", text.as_uri(), captioned=False),
    ]


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP on the loopback address; gives its base URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
