"""The prompt tasks by name: what an engine with a model is asked where the request brings no prompt."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.errors import RequestInvalidError


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt task."""

    name: str
    prompt: str


TASKS = {
    "describe": Task("describe", "Describe this video: what is shown, what happens, and in which order."),
}


def task_named(name: str) -> Task:
    """The task; ``RequestInvalidError`` for a name that is not in the table."""
    task = TASKS.get(name)
    if task is None:
        raise RequestInvalidError(f"task {name!r} is not known; known: {', '.join(sorted(TASKS))}")
    return task
