"""Prompt tasks: what an engine is asked, one file each. A package adds one with these names."""

from serve_app.tasks.task import Answer, Task, as_text
from serve_app.tasks.template import Template

__all__ = ["Answer", "Task", "Template", "as_text"]
