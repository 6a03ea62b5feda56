"""Prompt templates: text with ``{names}``, of which each must be known before a video is fetched."""

from __future__ import annotations

from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING

from serve_app.errors import RequestInvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTS = ("duration_s", "start_s", "end_s", "frame_count")
"""What a template may name beside the request's own: seconds of the video or window, and its frames."""
PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class Template:
    """A text with ``{names}``; ``{{`` and ``}}`` stand for braces. ``ValueError`` for anything else."""

    text: str
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Find the names."""
        found = set()
        for _, name, form, conversion in Formatter().parse(self.text):
            if name is None:
                continue
            if not name.isidentifier() or form or conversion:
                raise ValueError(f"{{{name}}} is no variable; allowed: {{name}}, and {{{{ for a brace")
            found.add(name)
        object.__setattr__(self, "names", frozenset(found))

    def check(self, given: Mapping[str, str], task: str) -> None:
        """``RequestInvalidError`` unless what is given, the facts aside, is what is named."""
        wanted = self.names - set(FACTS)
        for name in sorted(wanted - given.keys()):
            where = "prompt" if name == PROMPT else f"variables.{name}"
            raise RequestInvalidError(f"{where}: the task {task!r} needs it, and the request has none")
        for name in sorted(given.keys() - wanted - {PROMPT}):
            known = ", ".join(sorted(wanted - {PROMPT})) or "none"
            raise RequestInvalidError(
                f"variables.{name}: the task {task!r} has no such variable; it has: {known}"
            )

    def filled(self, given: Mapping[str, str]) -> str:
        """The text with each name replaced once: what is put in is not read again."""
        return Formatter().vformat(self.text, (), given)
