"""What a bug is called where anyone may read it: its class and a place in our own code, never its text.

An exception's text is made by whoever raised it and may hold paths, addresses or parts of a request: it
belongs into a log.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator

OWN = ("serve_app", "consumers")
LINE = re.compile(rf'File "(?:[^"]*/)?((?:{"|".join(OWN)})/[\w/]+)\.py", line (\d+), in ([\w<>]+)')


def named(bug: BaseException) -> str:
    """The class, and where in our own code it came up."""
    *_, last = ("", *_places(bug))
    return _told(bug, last)


def named_by(bug: BaseException, track: str) -> str:
    """The same of a bug of another process, of which ``track`` is the traceback as text."""
    *_, last = (
        "",
        *(f"{path.replace('/', '.')}.{name}, line {line}" for path, line, name in LINE.findall(track)),
    )
    return _told(bug, last)


def _told(bug: BaseException, place: str) -> str:
    return type(bug).__name__ + (f" in {place}" if place else "")


def _places(bug: BaseException) -> Iterator[str]:
    for frame, line in traceback.walk_tb(bug.__traceback__):
        spec = frame.f_globals.get("__spec__")  # of a program it has the name, where __name__ is __main__
        module = str(getattr(spec, "name", frame.f_globals.get("__name__")))
        if module.partition(".")[0] in OWN:
            yield f"{module}.{frame.f_code.co_name}, line {line}"
