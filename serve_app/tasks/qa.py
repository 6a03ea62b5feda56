"""An answer to the request's own question."""

from __future__ import annotations

from serve_app.tasks.task import Task
from serve_app.tasks.template import Template

QA = Task("qa", Template("{prompt}\nAnswer in short, from what the video shows."))
