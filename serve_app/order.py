"""What a request asks of whom: its task, captioner, prompt and form, settled before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serve_app.errors import RequestInvalidError
from serve_app.schema import CaptionRequest, GenerationParams, Output, TimesSampling
from serve_app.settings import BaselineSettings, CaptionerSettings, Settings
from serve_app.tasks.output import check_output, read_output
from serve_app.tasks.table import task_in, tasks_with
from serve_app.tasks.task import Answer, Task, as_text
from serve_app.tasks.template import PROMPT, SUMMARY_FACTS, Template, check_given
from serve_app.video.windows import Windowing


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
    """One request's task, ready to be done. ``captioner`` is ``None`` for the default one.

    With ``summary`` it is about the captions of windows, to which ``template`` and no ``output`` belong.
    """

    request: CaptionRequest
    task: Task
    template: Template
    captioner: str | None
    settings: CaptionerSettings
    params: GenerationParams
    output: Output | None
    given: Mapping[str, str]
    windows: Windowing | None = None
    summary: Template | None = None

    def text(self, span: Span) -> str:
        """The prompt for a stretch of the video."""
        return self.template.filled(_facts(span) | dict(self.given))

    def summary_text(self, span: Span, captions: Sequence[tuple[Span, str]]) -> str:
        """The prompt that puts the captions of windows together."""
        if self.summary is None:
            raise ValueError(f"the task {self.task.name} has no summary")
        lines = (f"{one.start_s:.2f} to {one.end_s:.2f}: {text}" for one, text in captions)
        told = {"captions": "\n".join(lines), "window_count": str(len(captions))}
        return self.summary.filled(_facts(span) | told | dict(self.given))

    @property
    def decides(self) -> dict[str, object]:
        """As JSON, what of it decides the caption of given frames, but for the settings' own part."""
        return {
            "task": self.task.name,
            "captioner": self.captioner,
            "template": self.template.text,
            "given": dict(self.given),
            "summary": None if self.summary is None else self.summary.text,
            "windows": None
            if self.windows is None
            else (self.windows.length_s, self.windows.overlap_s, self.windows.from_s),
            "params": self.params.model_dump(mode="json"),
            "output": None if self.output is None else self.output.model_dump(mode="json"),
        }

    def read(self, text: str) -> Answer:
        """What the engine's text says; ``OutputInvalidError`` if it has not the form."""
        return self.task.read(text, read_output(text, self.output))

    def read_part(self, text: str) -> Answer:
        """What it says of a window: plain text where there is a summary."""
        return self.read(text) if self.summary is None else as_text(text, None)


def _facts(span: Span) -> dict[str, str]:
    return {
        "duration_s": f"{span.duration_s:.2f}",
        "start_s": f"{span.start_s:.2f}",
        "end_s": f"{span.end_s:.2f}",
        "frame_count": str(span.frame_count),
    }


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
        given = dict(request.variables)
        if request.source_prompt is not None:
            given[PROMPT] = request.source_prompt
        template, summary = _templates(task, given)
        if summary is not None and isinstance(captioner.engine, BaselineSettings):
            told = (
                "its captioner's engine is no model and writes nothing from text; allowed: one with a model"
            )
            raise RequestInvalidError(f"task {task.name!r} takes a summary, but {told}")
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
            windows=self._windowing(request, task),
            summary=summary,
        )

    def _windowing(self, request: CaptionRequest, task: Task) -> Windowing | None:
        """The request's over the settings; ``None`` for a video that is captioned whole."""
        settings, asked = self._settings.windows, request.windows
        from_s = settings.from_s if asked is None else asked.from_s
        if task.summary is not None:
            from_s = 0.0
        if from_s is None:
            return None
        if isinstance(request.sampling or self._settings.decoder.sampling, TimesSampling):
            if asked is None and task.summary is None:
                return None
            raise RequestInvalidError(
                "windows: frames by times are of the whole video; allowed: other sampling"
            )
        length_s = settings.length_s if asked is None else asked.length_s or settings.length_s
        said_s = None if asked is None else asked.overlap_s
        overlap_s = settings.overlap_s if said_s is None else said_s
        if overlap_s >= length_s:
            told = f"allowed: below windows.length_s, {length_s:g}"
            raise RequestInvalidError(f"windows.overlap_s: {overlap_s:g} is refused; {told}")
        return Windowing(length_s, overlap_s, from_s, settings.in_flight, settings.most)


def _templates(task: Task, given: Mapping[str, str]) -> tuple[Template, Template | None]:
    """The prompt, and the one for the summary; ``RequestInvalidError`` if what is given does not fit.

    A request's own prompt stands for the whole, unless the task has a place for it. Where there is a summary
    it is that which the request means.
    """
    template, summary = task.prompt, task.summary
    wanted = template.wanted if summary is None else template.wanted | summary.wanted
    if PROMPT in given and PROMPT not in wanted:
        if summary is None:
            template = Template("{prompt}")
        else:
            summary = Template("{prompt}\n\n{captions}", SUMMARY_FACTS)
        wanted = template.wanted if summary is None else template.wanted | summary.wanted
    check_given(wanted, given, task.name)
    return template, summary
