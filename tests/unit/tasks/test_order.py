"""What a request asks of whom, over its task, over the settings."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.config import settings_from
from serve_app.errors import RequestInvalidError, SettingsError
from serve_app.order import Order, Orders, Span
from serve_app.schema import CaptionRequest, ChoiceOutput

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
