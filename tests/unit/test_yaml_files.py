"""What a file must be before its settings are looked at, and our own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.checks import check_file
from serve_app.config import load, read_yaml
from serve_app.errors import SettingsError
from serve_app.settings import ClusterBroker, EmbeddedBroker, Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "is not YAML"),
        ("- 1", "a Serve YAML is a mapping, found list"),
        ("", "a Serve YAML is a mapping, found NoneType"),
        ("a: 1\na: 2", "'a' stands twice"),
        ("a: {b: 1, b: 2}", "'b' stands twice"),
        ("? [1]\n: 2", "is not YAML"),
    ],
)
def test_what_is_no_serve_yaml_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """Broken syntax, another kind of document, and keys of which one would be lost."""
    path = tmp_path / "serve.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"serve\.yaml") as caught:
        read_yaml(path)
    assert told in str(caught.value)


def test_anchors_may_be_merged_and_overridden(tmp_path: Path) -> None:
    """A merged key may be given again: that is what merging is for."""
    path = tmp_path / "serve.yaml"
    path.write_text("x-a: &a {n: 1, m: 1}\nb: {<<: *a, n: 2}")
    assert read_yaml(path)["b"] == {"n": 2, "m": 1}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path and the system's reason are told."""
    with pytest.raises(SettingsError, match=r"none\.yaml: No such file or directory"):
        load(tmp_path / "none.yaml", {})


def test_the_file_for_a_gpu_asks_for_a_model_that_has_a_profile(tmp_path: Path) -> None:
    """It is valid, its captioner has a GPU, and frames have the model's size."""
    path = ROOT / "configs" / "serve.vllm.yaml"
    assert check_file(path, {}, tmp_path) == []
    settings = load(path, {}).settings
    assert settings.captioner.engine.kind == "vllm"
    assert settings.profile is not None
    (captioner,) = (
        deployment
        for application in read_yaml(path)["applications"]
        for deployment in application["deployments"]
        if deployment["name"] == "Captioner"
    )
    assert captioner["ray_actor_options"]["num_gpus"] == 1


@pytest.mark.parametrize("name", ["serve.yaml", "serve.kafka.yaml"])
def test_our_own_files_load(name: str) -> None:
    """The files that the README starts are valid, and keep their defaults where nothing is set."""
    settings = load(ROOT / "configs" / name, {"KAFKA_BOOTSTRAP_SERVERS": "h:9092"}).settings
    embedded = isinstance(settings.broker, EmbeddedBroker)
    assert settings.broker == (EmbeddedBroker() if embedded else ClusterBroker(bootstrap_servers="h:9092"))
    assert settings.topics.replication_factor == (1 if embedded else 3)
    assert settings.captioner == Settings().captioner
