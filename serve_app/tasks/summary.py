"""A long video in a paragraph: its windows are described, and the descriptions put together."""

from __future__ import annotations

from serve_app.tasks.describe import DESCRIBE
from serve_app.tasks.task import Task
from serve_app.tasks.template import SUMMARY_FACTS, Template

SUMMARY = Task(
    "summary",
    DESCRIBE.prompt,
    summary=Template(
        "These are descriptions of {window_count} parts of one video, in their order, each with its time in "
        "seconds:\n\n{captions}\n\nSummarise the whole video of {duration_s} s in one paragraph: what is "
        "shown, what happens, and in which order. State nothing that the descriptions do not say.",
        SUMMARY_FACTS,
    ),
)
