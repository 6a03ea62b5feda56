"""From ``args`` and the environment to settings, or to clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.config import load, read_yaml, settings_from
from serve_app.errors import SettingsError
from serve_app.settings import ClusterBroker, EmbeddedBroker, Settings

ROOT = Path(__file__).parents[2]


def refusals(args: dict[str, Any], env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings_from(args, env or {})
    return str(caught.value).splitlines()


def test_no_args_are_the_defaults() -> None:
    """Every setting has a default."""
    assert settings_from({}, {}) == Settings()


def test_variables_become_numbers_and_switches() -> None:
    """What comes from the environment is text, and is validated as what the setting is."""
    args = {
        "broker": {"port": "${PORT}", "kind": "embedded", "data_dir": "${DIR:-.capstream}/kafka"},
        "topics": {"create": "${CREATE:-true}", "partitions": "${N:-12}"},
        "consumer": {"group_id": "a$$b-${WHO:-}x"},
    }
    settings = settings_from(args, {"PORT": "2000", "CREATE": "off", "N": ""})
    assert settings.broker == EmbeddedBroker(port=2000, data_dir=Path(".capstream/kafka"))
    assert (settings.topics.create, settings.topics.partitions) == (False, 12)
    assert settings.consumer.group_id == "a$b-x"


def test_variables_that_are_not_set_are_named_all_at_once() -> None:
    """The key path and the variable's name are told, for each."""
    args = {"broker": {"kind": "cluster", "bootstrap_servers": "${A}", "client": {"sasl.password": "${B}"}}}
    assert refusals(args) == [
        "args.broker.bootstrap_servers: the environment variable A is not set, and has no default here",
        "args.broker.client.sasl.password: the environment variable B is not set, and has no default here",
    ]


def test_empty_client_properties_are_left_out() -> None:
    """One file serves clusters with and without security."""
    client = {"sasl.password": "${PW:-}", "security.protocol": "${P:-}"}
    args = {"broker": {"kind": "cluster", "bootstrap_servers": "h:1", "client": client}}
    broker = settings_from(args, {"P": "SSL"}).broker
    assert isinstance(broker, ClusterBroker)
    assert broker.client == {"security.protocol": "SSL"}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            {"consumer": {"max_in_flight": 0}},
            (
                "args.consumer.max_in_flight: '0' is refused: Input should be greater than or equal to 1; "
                "allowed: whole number, at least 1, at most 20,000"
            ),
        ),
        (
            {"consumer": {"settle_timeout_s": "soon"}},
            (
                "args.consumer.settle_timeout_s: 'soon' is refused: Input should be a valid number, unable "
                "to parse string as a number; allowed: number, above 0, at most 120"
            ),
        ),
        (
            {"consumer": {"delivery": "maybe"}},
            (
                "args.consumer.delivery: 'maybe' is refused: Input should be 'exactly_once' or "
                "'at_least_once'; allowed: exactly_once, at_least_once"
            ),
        ),
        (
            {"broker": {"kind": "embeded"}},
            (
                "args.broker.kind: 'embeded' is refused: one of them is needed; "
                "allowed: kind: embedded or kind: cluster"
            ),
        ),
        (
            {"broker": {"port": 2000}},
            "args.broker.kind: missing: one of them is needed; allowed: kind: embedded or kind: cluster",
        ),
        (
            {"broker": {"kind": "embedded", "port": 80}},
            (
                "args.broker.port: '80' is refused: Input should be greater than or equal to 1024; "
                "allowed: whole number, at least 1,024, at most 65,534"
            ),
        ),
        (
            {"sources": {"schemes": ["http", "ftp"]}},
            "args.sources.schemes[1]: 'ftp' is refused: Input should be 'http', 'https', 'file' or 'data'",
        ),
        (
            {"topics": {"requests": "a b"}},
            (
                "args.topics.requests: 'a b' is refused: String should match pattern "
                "'^[A-Za-z0-9._-]{1,200}$'; "
                "allowed: text, matching `^[A-Za-z0-9._-]{1,200}$`"
            ),
        ),
        (
            {"decoder": {"sampling": {"fps": 1000}}},
            (
                "args.decoder.sampling.fps: '1000' is refused: Input should be less than or equal to 240; "
                "allowed: number, above 0, at most 240"
            ),
        ),
        (
            {"decoder": {"geometry": {"max_pixels": 3}}},
            "args.decoder.geometry: max_pixels 3 must be at least factor² 784 and min_pixels 3136",
        ),
        (
            {"captioner": {"batch": 7}},
            (
                "args.captioner.batch: '7' is refused: Input should be a valid dictionary or instance of "
                "BatchSettings; allowed: mapping"
            ),
        ),
    ],
)
def test_a_violation_is_told_with_path_value_and_range(args: dict[str, Any], told: str) -> None:
    """One sentence says where, what was found, and what is allowed."""
    assert refusals(args) == [told]


@pytest.mark.parametrize(
    ("args", "path", "meant"),
    [
        ({"consumr": {}}, "args.consumr", "consumer"),
        ({"consumer": {"max_in_fligh": 1}}, "args.consumer.max_in_fligh", "max_in_flight"),
        ({"broker": {"kind": "embedded", "prt": 1}}, "args.broker.prt", "port"),
        ({"captioner": {"batch": {"wait_s": 1}}}, "args.captioner.batch.wait_s", "wait_ms"),
        (
            {"decoder": {"sampling": {"fps": 1, "max_frame": 1}}},
            "args.decoder.sampling.max_frame",
            "max_frames",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_one(args: dict[str, Any], path: str, meant: str) -> None:
    """At every level, unions included, and with all that would have been known."""
    (told,) = refusals(args)
    assert told.startswith(f"{path}: unknown key; did you mean {meant}? (known: ")
    assert f" {meant}" in told.partition("(known:")[2]


def test_all_violations_are_told_at_once() -> None:
    """One line for each, so that a file is put right in one go."""
    told = refusals(
        {"consumer": {"max_in_flight": 0, "max_attempts": 0}, "topics": {"partitions": 0}, "x": 1}
    )
    assert [line.partition(":")[0] for line in told] == [
        "args.topics.partitions",
        "args.consumer.max_in_flight",
        "args.consumer.max_attempts",
        "args.x",
    ]


@pytest.mark.parametrize(
    "args",
    [
        {"topics": {"partitions": "${S}"}},
        {"topics": {"requests": "bad ${S}"}},
        {"broker": {"kind": "${S}"}},
        {"sources": {"schemes": ["${S}"]}},
        {"decoder": {"sampling": {"strategy": "${S}"}}},
        {"captioner": {"engine": {"kind": "${S}"}}},
    ],
)
def test_values_of_variables_are_never_told(args: dict[str, Any]) -> None:
    """They may be secrets; the variable's name is told in their place."""
    (told,) = refusals(args, {"S": "hunter2"})
    assert "hunter2" not in told
    assert "${S} was given a value that is refused" in told


def test_secrets_that_stand_in_the_file_are_not_told() -> None:
    """A property whose name speaks of a secret is refused without its value."""
    client = {"sasl.password": 123456}
    (told,) = refusals({"broker": {"kind": "cluster", "bootstrap_servers": "h:1", "client": client}})
    assert told == "args.broker.client.sasl.password: Input should be a valid string"


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


@pytest.mark.parametrize("name", ["serve.yaml", "serve.kafka.yaml"])
def test_our_own_files_load(name: str) -> None:
    """The files that the README starts are valid, and keep their defaults where nothing is set."""
    settings = load(ROOT / "configs" / name, {"KAFKA_BOOTSTRAP_SERVERS": "h:9092"}).settings
    embedded = isinstance(settings.broker, EmbeddedBroker)
    assert settings.broker == (EmbeddedBroker() if embedded else ClusterBroker(bootstrap_servers="h:9092"))
    assert settings.topics.replication_factor == (1 if embedded else 3)
    assert settings.captioner == Settings().captioner
