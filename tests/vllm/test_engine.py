"""capstream's vLLM engine on real vLLM: what is asked is what is done, and what cannot be done is typed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serve_app.engines.protocol import Generation, Outcome, Prompt
from serve_app.errors import Failure, SettingsError
from serve_app.schema import GenerationParams, RegexOutput
from serve_app.tasks.output import read_output
from tests.vllm.engines import FORMS, Running, prompt, settings

PICTURES = np.random.default_rng(1).integers(0, 255, (8, 112, 112, 3), np.uint8)


def failure(outcome: Outcome) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


def test_answers_have_the_form_that_was_asked_for(running: Running) -> None:
    """Each of the three, and the tokens of prompt and answer are counted."""
    made = running.answers([prompt(PICTURES, 2.0, output=form) for form in FORMS])
    for outcome, form in zip(made, FORMS, strict=True):
        assert isinstance(outcome, Generation)
        assert outcome.finish_reason == "stop"
        assert outcome.usage is not None
        assert outcome.usage.prompt_tokens > 4 * 16  # the visual tokens of eight frames in pairs
        read_output(outcome.text, form)
    last = made[-1]
    assert isinstance(last, Generation)
    assert json.loads(last.text)["ok"] in (True, False)


def test_text_alone_is_answered_beside_videos(running: Running) -> None:
    """As a summary asks of windows' captions."""
    alone = Prompt(None, (), 60.0, "summary", "What is it?", params=GenerationParams(max_tokens=8))
    text, video = running.answers([alone, prompt(PICTURES, 2.0)])
    assert isinstance(text, Generation)
    assert isinstance(video, Generation)
    assert text.usage is not None
    assert video.usage is not None
    assert text.usage.prompt_tokens < video.usage.prompt_tokens


def test_an_answer_that_is_cut_off_says_so(running: Running) -> None:
    """With `length`, so that it is not taken for the whole."""
    (made,) = running.answers([prompt(PICTURES, 2.0, output=RegexOutput(pattern="[0-9]{200}"))])
    assert isinstance(made, Generation)
    assert made.finish_reason == "length"
    assert made.usage is not None
    assert made.usage.completion_tokens == 24


def test_bad_prompts_fail_alone_and_in_their_class(running: Running) -> None:
    """Too long, no frame, an impossible form: permanent; the good one between them is answered."""
    look_ahead = RegexOutput(pattern="(?=a)b")
    outcomes = running.answers(
        [
            prompt(PICTURES, 2.0, text="word " * 5000),
            prompt(PICTURES, 2.0),
            prompt(PICTURES[:0], 2.0),
            prompt(PICTURES, 2.0, output=look_ahead),
        ]
    )
    long, good, empty, form = outcomes
    assert isinstance(good, Generation)
    assert {failure(one).error_class for one in (long, empty, form)} == {"EngineRejectedError"}
    assert {failure(one).family for one in (long, empty, form)} == {"permanent"}
    assert "4096" in failure(long).message
    assert "look-around" in failure(form).message
    running.check_health()


def test_frames_beyond_the_context_are_refused(running: Running) -> None:
    """More visual tokens than the model takes are the request's fault, not the engine's end."""
    many = np.zeros((256, 224, 224, 3), np.uint8)
    (outcome,) = running.answers([prompt(many, 60.0)])
    assert failure(outcome).error_class == "EngineRejectedError"
    running.check_health()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"enforce_eagre": True}, "engine_args.enforce_eagre: unknown key; did you mean enforce_eager?"),
        ({"max_model_len": 9}, "engine_args.max_model_len: it has a setting of its own"),
    ],
)
def test_arguments_that_vllm_does_not_take_are_refused_at_start(given: dict[str, object], told: str) -> None:
    """Before anything is loaded."""
    from serve_app.engines.vllm import VllmEngine  # noqa: PLC0415  vLLM reads the environment at its import

    with pytest.raises(SettingsError) as raised:
        VllmEngine(settings(engine_args=given))
    assert told in str(raised.value)
