"""What a request asks of whom, over its task, over the settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serve_app.config import settings_from
from serve_app.errors import RequestInvalidError, SettingsError
from serve_app.order import Order, Orders, Span
from serve_app.schema import CaptionRequest, ChoiceOutput
from serve_app.video.windows import Windowing

URL = "https://example.org/a.mp4"
TWO: dict[str, Any] = {
    "captioner": {"generation": {"default": {"max_tokens": 32}, "max_tokens": 64}},
    "captioners": {"big": {"task": "tags", "generation": {"default": {"max_tokens": 7}}}},
    "tasks": {
        "shop": {"prompt": "For {shop}, {duration_s} s: {prompt}", "captioner": "big"},
        "verdict": {"prompt": "Is it good?", "output": {"choices": ["yes", "no"]}},
        "describe": {"generation": {"temperature": 0.5}},
    },
}
SPAN = Span(1.0, 3.5, 4)
MODEL: dict[str, Any] = {"captioner": {"engine": {"kind": "vllm", "model": "m"}}}


def order(args: dict[str, Any] | None = None, **request: object) -> Order:
    settings = settings_from(TWO if args is None else args, {})
    return Orders(settings).of(CaptionRequest.model_validate({"url": URL, **request}))


def test_without_a_word_it_is_the_default_captioners_task() -> None:
    """Its prompt, its parameters, no form."""
    made = order({})
    assert (made.task.name, made.captioner, made.output) == ("describe", None, None)
    assert made.text(SPAN).startswith("Describe this video")
    assert (made.params.max_tokens, made.params.temperature) == (256, 0)


def test_a_request_picks_the_captioner_and_the_captioner_the_task() -> None:
    """And its own parameters hold."""
    made = order(captioner="big")
    assert (made.task.name, made.captioner, made.params.max_tokens) == ("tags", "big", 7)


def test_a_task_picks_its_captioner_and_is_filled() -> None:
    """With the request's prompt, its variables and the video's facts."""
    made = order(task="shop", prompt="Which shoes?", variables={"shop": "7"})
    assert made.captioner == "big"
    assert made.text(SPAN) == "For 7, 2.50 s: Which shoes?"


def test_a_prompt_stands_for_the_whole_where_the_task_has_no_place_for_it() -> None:
    """Braces in it are text."""
    assert order(prompt="Say {x}").text(SPAN) == "Say {x}"


def test_a_request_overrules_its_task_and_the_task_the_settings() -> None:
    """Parameter by parameter."""
    made = order(generation={"max_tokens": 48})
    assert (made.params.max_tokens, made.params.temperature) == (48, 0.5)


def test_the_settings_say_the_form_and_a_request_may_say_another() -> None:
    """Both are checked."""
    assert order(task="verdict").output == ChoiceOutput(choices=("yes", "no"))
    assert order(task="verdict", output={"choices": ["a"]}).output == ChoiceOutput(choices=("a",))


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (
            {"task": "nope"},
            "task 'nope' is not known; known: describe, qa, shop, structured_caption",
        ),
        ({"captioner": "small"}, "captioner 'small' is not known; known: big"),
        ({"task": "qa"}, "prompt: the task 'qa' needs it"),
        ({"task": "shop", "prompt": "x"}, "variables.shop: the task 'shop' needs it"),
        ({"variables": {"x": "y"}}, "variables.x: the task 'describe' has no such variable; it has: none"),
        (
            {"generation": {"max_tokens": 65}},
            "generation.max_tokens: 65 is refused; allowed here: at most",
        ),
        ({"output": {"pattern": "("}}, "output.pattern: '(' is no regular expression"),
    ],
)
def test_what_cannot_be_done_is_a_bad_request(request_: dict[str, Any], told: str) -> None:
    """It names the value and what is allowed, before anything is fetched."""
    with pytest.raises(RequestInvalidError) as raised:
        order(**request_)
    assert str(raised.value).startswith(told)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            {"tasks": {"mine": {}}},
            "args.tasks.mine: 'mine' is refused: a new task needs a prompt; those",
        ),
        ({"tasks": {"mine": {"prompt": "{a.b}"}}}, "args.tasks.mine.prompt: '{a.b}' is refused: "),
        ({"tasks": {"tags": {"captioner": "x"}}}, "args.tasks.tags.captioner: 'x' is refused; allowed: none"),
        ({"captioner": {"task": "x"}}, "args.captioner.task: 'x' is refused; allowed: describe, qa"),
        ({"captioners": {"a": {"task": "x"}}}, "args.captioners.a.task: 'x' is refused; allowed: describe"),
        ({"captioners": {"A": {}}}, "args.captioners.A"),
        (
            {"windows": {"overlap_s": 30}},
            "args.windows.overlap_s: '30.0' is refused; allowed: below length_s, 30",
        ),
        ({"windows": {"length_s": 0}}, "args.windows.length_s: '0' is refused; allowed: number, at least 1"),
        ({"windows": {"cut": "shots"}}, "args.windows.cut: unknown key"),
        ({"tasks": {"tags": {"summary": "{x}"}}}, "args.tasks.tags.summary: '{x}' is refused: it does not"),
        (
            {"captioner": {"generation": {"default": {"max_tokens": 9}, "max_tokens": 8}}},
            "args.captioner.generation.default.max_tokens: '9' is refused; allowed: at most 8",
        ),
        (
            {"tasks": {"tags": {"output": {"json_schema": {"$ref": "http://a"}}}}},
            "args.tasks.tags.output",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_at_start(args: dict[str, Any], told: str) -> None:
    """With the place, the value and what is allowed."""
    with pytest.raises(SettingsError) as raised:
        settings_from(args, {})
    assert str(raised.value).startswith(told), raised.value


def test_structured_answers_have_fields_and_a_caption() -> None:
    """The caption of `structured_caption` is its own field, tags are one line."""
    text = '{"caption": "A dog.", "subjects": ["dog"], "actions": [], "setting": "park", "text": []}'
    said = order({}, task="structured_caption").read(text)
    assert said.text == "A dog."
    assert isinstance(said.fields, dict)
    assert said.fields["subjects"] == ["dog"]
    tags = order({}, task="tags").read('{"tags": ["Dog", "dog ", "park"]}')
    assert (tags.text, tags.fields) == ("dog, park", {"tags": ["dog", "park"]})


def test_a_request_lays_its_windows_over_the_settings() -> None:
    """Length, overlap and from where on; without a word there are none."""
    assert order({}).windows is None
    settings = {"windows": {"from_s": 60, "overlap_s": 5}}
    assert order(settings).windows == Windowing(30, 5, 60, 4, 4096)
    assert order(settings, windows={}).windows == Windowing(30, 5, 0, 4, 4096)
    asked: dict[str, Any] = {"length_s": 10, "overlap_s": 0, "from_s": 20}
    assert order(settings, windows=asked).windows == Windowing(10, 0, 20, 4, 4096)
    assert order(settings, sampling={"times_s": [1]}).windows is None


def test_windows_decide_what_a_caption_is() -> None:
    """So a kept caption of the whole is none of the windows, nor one of others."""
    changes: tuple[dict[str, Any], ...] = ({}, {"windows": {}}, {"windows": {"length_s": 9}})
    made = [order({}, **asked).decides for asked in changes]
    assert len({json.dumps(one) for one in made}) == 3


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"windows": {"length_s": 5}}, "windows.overlap_s: 5 is refused; allowed: below windows.length_s, 5"),
        (
            {"task": "summary", "sampling": {"times_s": [1]}},
            "windows: frames by times are of the whole video",
        ),
        ({"task": "summary", "captioner": "plain"}, "task 'summary' takes a summary, but its captioner's"),
        ({"task": "story", "variables": {"x": "y"}}, "variables.mood: the task 'story' needs it"),
    ],
)
def test_windows_that_cannot_be_had_are_refused(request_: dict[str, Any], told: str) -> None:
    """Before anything is fetched."""
    args = {
        **MODEL,
        "captioners": {"plain": {}},
        "windows": {"overlap_s": 5},
        "tasks": {"story": {"prompt": "What?", "summary": "{mood}: {captions}"}},
    }
    with pytest.raises(RequestInvalidError) as raised:
        order(args, **request_)
    assert str(raised.value).startswith(told), raised.value


def test_a_summary_is_filled_with_captions_and_times() -> None:
    """A task of the settings has its own; the request's prompt stands for the built-in one's question."""
    story = {"story": {"prompt": "What?", "summary": "{mood} {window_count} {end_s}: {captions}"}}
    told = order({**MODEL, "tasks": story}, task="story", variables={"mood": "sad"})
    captions = [(Span(1, 2, 3), "a dog"), (Span(2, 3.5, 3), "it {runs}")]
    assert told.text(SPAN) == "What?"
    expected = "sad 2 3.50: 1.00 to 2.00: a dog\n2.00 to 3.50: it {runs}"
    assert told.summary_text(SPAN, captions) == expected
    own = order(MODEL, task="summary", prompt="Is {it} good?")
    assert own.text(SPAN).startswith("Describe this video")
    assert own.summary_text(SPAN, captions[:1]) == "Is {it} good?\n\n1.00 to 2.00: a dog"
