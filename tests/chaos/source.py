"""The web server that the videos come from; it knows when each was fetched, and so what is done again."""

from __future__ import annotations

import http.server
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.load import SHAPES, Ask, Way, ask_at
from tests.chaos.verdict import Fetch
from tests.clips import write_clip


@dataclass(slots=True)
class Source:
    """Clips, and all that was fetched so far."""

    clips: dict[str, bytes]
    base_url: str = ""
    fetches: list[Fetch] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fetched(self, ask: Ask) -> int:
        """Note a fetch; the how-manieth of its request it is."""
        with self._lock:
            self._counts[ask.name] += 1
            again = self._counts[ask.name] > ask.way.fetches
            self.fetches.append(Fetch(time.monotonic(), ask.name, again=again))
            return self._counts[ask.name]

    def answer(self, ask: Ask, number: int) -> tuple[int, bytes]:
        """Status and body."""
        if ask.way is Way.DOWN or (ask.way is Way.FLAKY and number == 1):
            return 503, b""
        if ask.way is Way.MISSING:
            return 404, b""
        return 200, b"no video at all " * 100 if ask.way is Way.BROKEN else self.clips[ask.clip]


@contextmanager
def source(folder: Path) -> Iterator[Source]:
    """Make the clips and serve them on the loopback address."""
    clips = {}
    for shape in SHAPES:
        width, height = shape.size
        made = write_clip(folder / shape.name, seconds=shape.seconds, fps=25, width=width, height=height)
        clips[shape.name] = made.read_bytes()
    own = Source(clips)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ask = ask_at(self.path)
            number = own.fetched(ask)
            time.sleep(ask.delay_ms / 1000)
            status, body = own.answer(ask, number)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True  # who asked was killed meanwhile

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    own.base_url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield own
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
