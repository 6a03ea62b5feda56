"""What is seen, in a few sentences."""

from __future__ import annotations

from serve_app.tasks.task import Task
from serve_app.tasks.template import Template

DESCRIBE = Task("describe", Template("Describe this video: what is shown, what happens, and in which order."))
