"""The prompt tasks by name: ours, those of other packages, and those that the settings add or change.

Another package adds one by an entry point of the group ``capstream.tasks`` that names a
:class:`serve_app.tasks.task.Task`. A name of its own replaces none of ours.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from serve_app.errors import RequestInvalidError, SettingsError
from serve_app.tasks.describe import DESCRIBE
from serve_app.tasks.qa import QA
from serve_app.tasks.structured_caption import STRUCTURED_CAPTION
from serve_app.tasks.summary import SUMMARY
from serve_app.tasks.tags import TAGS
from serve_app.tasks.task import Task
from serve_app.tasks.template import SUMMARY_FACTS, Template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serve_app.settings.tasks import TaskSettings

GROUP = "capstream.tasks"
OURS = (DESCRIBE, QA, STRUCTURED_CAPTION, SUMMARY, TAGS)


@cache
def installed() -> Mapping[str, Task]:
    """Our tasks and those of the packages that are installed; ``SettingsError`` for one that is none."""
    found = {task.name: task for task in OURS}
    for entry in entry_points(group=GROUP):
        try:
            task = entry.load()
        except (ImportError, AttributeError) as error:
            told = f"entry point {entry.name!r} of {GROUP} ({entry.value}) cannot be loaded: {error}"
            raise SettingsError(told) from error
        if not isinstance(task, Task) or task.name in found:
            taken = "its name is taken" if isinstance(task, Task) else "it is no Task"
            raise SettingsError(f"entry point {entry.name!r} of {GROUP} ({entry.value}) is refused: {taken}")
        found[task.name] = task
    return found


def tasks_with(changes: Mapping[str, TaskSettings]) -> dict[str, Task]:
    """The installed tasks, changed and added to by the settings, which have been checked."""
    tasks = dict(installed())
    for name, said in changes.items():
        task = tasks.get(name) or Task(name, Template(said.prompt or ""))
        tasks[name] = replace(
            task,
            prompt=task.prompt if said.prompt is None else Template(said.prompt),
            output=said.output or task.output,
            generation=said.generation.over(task.generation),
            captioner=said.captioner or task.captioner,
            summary=task.summary if said.summary is None else Template(said.summary, SUMMARY_FACTS),
        )
    return tasks


def task_in(tasks: Mapping[str, Task], name: str) -> Task:
    """The task; ``RequestInvalidError`` for a name that is not in the table."""
    task = tasks.get(name)
    if task is None:
        raise RequestInvalidError(f"task {name[:64]!r} is not known; known: {', '.join(sorted(tasks))}")
    return task
