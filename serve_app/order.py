"""What a request asks of whom: its task, captioner, prompt and form, settled before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.schema import CaptionRequest, GenerationParams, Output
from serve_app.settings import CaptionerSettings, Settings
from serve_app.tasks.output import check_output, read_output
from serve_app.tasks.table import task_in, tasks_with
from serve_app.tasks.task import Answer, Task
from serve_app.tasks.template import PROMPT, Template


@dataclass(frozen=True, slots=True)
class Span:
    """The stretch of a video that is captioned at once, in seconds, and its frames."""

    start_s: float
    end_s: float
    frame_count: int

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request's task, ready to be done. ``captioner`` is ``None`` for the default one."""

    request: CaptionRequest
    task: Task
    template: Template
    captioner: str | None
    settings: CaptionerSettings
    params: GenerationParams
    output: Output | None
    given: Mapping[str, str]

    def text(self, span: Span) -> str:
        """The prompt for a stretch of the video."""
        facts = {
            "duration_s": f"{span.duration_s:.2f}",
            "start_s": f"{span.start_s:.2f}",
            "end_s": f"{span.end_s:.2f}",
            "frame_count": str(span.frame_count),
        }
        return self.template.filled(facts | dict(self.given))

    @property
    def decides(self) -> dict[str, object]:
        """As JSON, what of it decides the caption of given frames, but for the settings' own part."""
        return {
            "task": self.task.name,
            "captioner": self.captioner,
            "template": self.template.text,
            "given": dict(self.given),
            "params": self.params.model_dump(mode="json"),
            "output": None if self.output is None else self.output.model_dump(mode="json"),
        }

    def read(self, text: str) -> Answer:
        """What the engine's text says; ``OutputInvalidError`` if it has not the form."""
        return self.task.read(text, read_output(text, self.output))


class Orders:
    """Takes requests' orders as the settings allow them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tasks = tasks_with(settings.tasks)

    def of(self, request: CaptionRequest) -> Order:
        """The order; ``RequestInvalidError`` for what is not known, not given, or beyond the limits."""
        asked = self._settings.captioner_named(request.captioner)
        task = task_in(self._tasks, request.task or asked.task)
        name = request.captioner or task.captioner
        captioner = self._settings.captioner_named(name)
        own, given = request.source_prompt, dict(request.variables)
        if own is not None:
            given[PROMPT] = own
        # A request's own prompt stands for the whole, unless the task has a place for it.
        whole = own is not None and PROMPT not in task.prompt.names
        template = Template("{prompt}") if whole else task.prompt
        template.check(given, task.name)
        output = request.output or task.output
        if request.output is not None:
            check_output(request.output)
        params = captioner.generation.resolved(request.generation, task.generation)
        return Order(
            request=request,
            task=task,
            template=template,
            captioner=name,
            settings=captioner,
            params=params,
            output=output,
            given=given,
        )
