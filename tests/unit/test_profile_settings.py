"""Model profiles in a Serve YAML: one's own, the one in force, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.config import settings_from
from serve_app.errors import SettingsError
from serve_app.settings import Settings

OWN: dict[str, Any] = {
    "name": "acme",
    "models": ["acme/*-vl-*"],
    "frames": {"num_frames": 8, "placing": "middles"},
    "size": {"kind": "exact", "width": 336, "height": 336},
    "tokens": {"kind": "per_frame", "per_frame": 144},
}


def settings(**decoder: object) -> Settings:
    return settings_from({"decoder": decoder}, {})


def test_by_default_there_is_no_profile() -> None:
    """The baseline runs no model, so sampling and geometry are those of the settings."""
    assert settings().profile is None


@pytest.mark.parametrize("said", ["qwen2.5-vl", "Qwen/Qwen2.5-VL-72B-Instruct"])
def test_a_profile_is_named_or_found_by_a_model(said: str) -> None:
    """Either says the same."""
    found = settings(profile=said).profile
    assert found is not None
    assert found.name == "qwen2.5-vl"


def test_the_engines_model_finds_its_profile() -> None:
    """Where the settings name none; one that they name comes first, and an unknown model has none."""
    decoder = settings(profiles=[OWN]).decoder
    known = [decoder.profile_for(model) for model in ("Acme/Big-VL-2", "Qwen/Qwen3-VL-8B", "llama", None)]
    assert [one.name if one else None for one in known] == ["acme", "qwen3-vl", None, None]
    named = settings(profile="internvl").decoder.profile_for("Qwen/Qwen3-VL-8B")
    assert named is not None
    assert named.name == "internvl"


def test_ones_own_profile_comes_first() -> None:
    """It may take over a model that a built-in one is for, or a built-in one's name."""
    for own in (OWN | {"models": ["*qwen2.5-vl*"]}, OWN | {"name": "qwen2.5-vl"}):
        found = settings(profiles=[own], profile="Qwen2.5-VL").profile
        assert found is not None
        assert found.tokens.kind == "per_frame"


@pytest.mark.parametrize(
    ("decoder", "told"),
    [
        (
            {"profile": "qwen9"},
            "args.decoder.profile: 'qwen9' is refused; allowed: an id of a known model, or the name of",
        ),
        (
            {"profiles": [OWN | {"size": {"kind": "exact", "width": 0, "height": 1}}]},
            "args.decoder.profiles[0].size.width: '0' is refused; allowed: whole number, at least 1",
        ),
        (
            {"profiles": [OWN | {"size": {"kind": "square"}}]},
            "args.decoder.profiles[0].size.kind: 'square' is refused; allowed: ",
        ),
        (
            {"profiles": [OWN | {"frames": {}}]},
            "args.decoder.profiles[0].frames: give exactly one of fps and num_frames",
        ),
        (
            {"profiles": [OWN | {"frames": {"fps": 1, "min_frames": 9, "max_frames": 8}}]},
            "max_frames 8 must be at least min_frames 9",
        ),
        (
            {"profiles": [OWN | {"tokens": {"kind": "patches", "facto": 3}}]},
            "args.decoder.profiles[0].tokens.facto: unknown key; did you mean factor?",
        ),
        ({"max_sampled_frames": 0}, "args.decoder.max_sampled_frames: '0' is refused; allowed: whole number"),
    ],
)
def test_impossible_profiles_are_refused(decoder: dict[str, object], told: str) -> None:
    """The key's path, the value and what is allowed are named."""
    with pytest.raises(SettingsError) as refused:
        settings_from({"decoder": decoder}, {})
    assert told in str(refused.value)


def test_a_profile_is_part_of_what_a_caption_says() -> None:
    """Another profile, or another rule in it, is another hash; which name found it is not."""
    hashes = [
        settings(profile="qwen2.5-vl").config_hash(),
        settings(profile="qwen3-vl").config_hash(),
        settings(profiles=[OWN], profile="acme").config_hash(),
        settings(profiles=[OWN | {"frames": {"num_frames": 9}}], profile="acme").config_hash(),
        settings(profiles=[OWN]).config_hash(),
    ]
    assert len(set(hashes)) == len(hashes)
    assert settings(profile="Qwen/Qwen2.5-VL-3B").config_hash() == hashes[0]
    assert hashes[-1] == Settings().config_hash()
