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
SUMMARY_FACTS = (*FACTS, "captions", "window_count")
"""What a template may name that puts windows together: their captions with their times, and how many."""
PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class Template:
    """A text with ``{names}``; ``{{`` and ``}}`` stand for braces. ``ValueError`` for anything else."""

    text: str
    facts: tuple[str, ...] = FACTS
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

    @property
    def wanted(self) -> frozenset[str]:
        """What a request must give."""
        return self.names - set(self.facts)

    def check(self, given: Mapping[str, str], task: str) -> None:
        """``RequestInvalidError`` unless what is given, the facts aside, is what is named."""
        check_given(self.wanted, given, task)

    def filled(self, given: Mapping[str, str]) -> str:
        """The text with each name replaced once: what is put in is not read again."""
        return Formatter().vformat(self.text, (), given)


def check_given(wanted: frozenset[str], given: Mapping[str, str], task: str) -> None:
    """``RequestInvalidError`` unless a request gives what its task wants."""
    for name in sorted(wanted - given.keys()):
        where = "prompt" if name == PROMPT else f"variables.{name}"
        raise RequestInvalidError(f"{where}: the task {task!r} needs it, and the request has none")
    for name in sorted(given.keys() - wanted - {PROMPT}):
        known = ", ".join(sorted(wanted - {PROMPT})) or "none"
        raise RequestInvalidError(
            f"variables.{name}: the task {task!r} has no such variable; it has: {known}"
        )
