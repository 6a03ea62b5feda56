"""From ``args`` and the environment to settings, or to clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.config import settings_from
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


KINDS = "allowed: kind: embedded or kind: cluster"
PATTERN = "text, matching `^[A-Za-z0-9._-]{1,200}$`"
ONE_NAME = "perhaps but for . and _; allowed: another name"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            {"consumer": {"max_in_flight": 0}},
            "consumer.max_in_flight: '0' is refused; allowed: whole number, at least 1, at most 20,000",
        ),
        (
            {"consumer": {"group_id": "a\nb"}},
            (
                "consumer.group_id: 'a\\nb' is refused; allowed: text, 1 or longer, "
                "no longer than 200, matching `^[^\\x00-\\x1f\\x7f]*$`"
            ),
        ),
        (
            {"consumer": {"max_in_flight": True}},
            "consumer.max_in_flight: 'true' is refused; allowed: whole number, at least 1, at most 20,000",
        ),
        (
            {"consumer": {"settle_timeout_s": "soon"}},
            "consumer.settle_timeout_s: 'soon' is refused; allowed: number, above 0, at most 120",
        ),
        (
            {"consumer": {"delivery": "maybe"}},
            "consumer.delivery: 'maybe' is refused; allowed: exactly_once, at_least_once",
        ),
        (
            {"consumer": {"retry_initial_s": 20, "retry_max_s": 10}},
            "consumer.retry_max_s: '10.0' is refused; allowed: at least retry_initial_s",
        ),
        (
            {"consumer": {"retry_delays_s": [5, False]}},
            (
                "consumer.retry_delays_s[1]: 'false' is refused; "
                "allowed: number, at least 0.001, at most 604,800"
            ),
        ),
        (
            {"consumer": {"max_attempts_by_class": {"InternalError": 0}}},
            (
                "consumer.max_attempts_by_class.InternalError: '0' is refused; "
                "allowed: whole number, at least 1, at most 100"
            ),
        ),
        ({"broker": {"kind": "embeded"}}, f"broker.kind: 'embeded' is refused; {KINDS}"),
        ({"broker": {"port": 2000}}, f"broker.kind: missing; {KINDS}"),
        (
            {"broker": {"kind": "embedded", "port": 80}},
            "broker.port: '80' is refused; allowed: whole number, at least 1,024, at most 65,534",
        ),
        (
            {"broker": {"kind": "embedded", "data_dir": ""}},
            "broker.data_dir: '' is refused: empty; allowed: a folder, or a path where one can be made",
        ),
        ({"broker": {"kind": "cluster"}}, "broker.bootstrap_servers: missing; allowed: text, 1 or longer"),
        (
            {"sources": {"schemes": ["http", "ftp"]}},
            "sources.schemes[1]: 'ftp' is refused; allowed: http, https, file, data, s3, gs, az",
        ),
        ({"topics": {"requests": "a b"}}, f"topics.requests: 'a b' is refused; allowed: {PATTERN}"),
        (
            {"topics": {"captions": ".."}},
            (
                "topics.captions: '..' is refused: Kafka has no topic of this name; "
                "allowed: any other of the pattern ^[A-Za-z0-9._-]{1,200}$"
            ),
        ),
        (
            {"topics": {"captions": "video_requests"}},
            f"topics.captions: 'video_requests' is refused: the name of topics.requests, {ONE_NAME}",
        ),
        (
            {"topics": {"dead_letters": "video.requests.retry_60s"}},
            (
                "topics.dead_letters: 'video.requests.retry_60s' is refused: the name of a retry topic, "
                f"{ONE_NAME}"
            ),
        ),
        (
            {"topics": {"captions": "video_requests_dlq_replayed"}},
            (
                "topics.captions: 'video_requests_dlq_replayed' is refused: the name of the receipts' topic, "
                f"{ONE_NAME}"
            ),
        ),
        (
            {"topics": {"replication_factor": 3}},
            "topics.replication_factor: '3' is refused; allowed: 1, since the embedded broker is one node",
        ),
        (
            {"topics": {"min_insync_replicas": 2}},
            "topics: min_insync_replicas 2 is above replication_factor 1: nothing could be written",
        ),
        (
            {"decoder": {"sampling": {"fps": 1000}}},
            "decoder.sampling.fps: '1000' is refused; allowed: number, above 0, at most 240",
        ),
        (
            {"decoder": {"sampling": {"fps": True}}},
            "decoder.sampling.fps: 'true' is refused; allowed: number, above 0, at most 240",
        ),
        (
            {"decoder": {"geometry": {"max_pixels": 3}}},
            "decoder.geometry: max_pixels 3 must be at least factor² 784 and min_pixels 3136",
        ),
        ({"captioner": {"batch": 7}}, "captioner.batch: '7' is refused; allowed: mapping"),
    ],
)
def test_a_violation_is_told_with_path_value_and_range(args: dict[str, Any], told: str) -> None:
    """One sentence says where, what was found, and what is allowed."""
    assert refusals(args) == [f"args.{told}"]


@pytest.mark.parametrize("below", ["", "/kafka"])
def test_the_broker_cannot_write_into_a_file(tmp_path: Path, below: str) -> None:
    """A file in the way of the data directory is told, relative to where the application is started."""
    (tmp_path / "notes").write_text("here before")
    with pytest.raises(SettingsError) as caught:
        settings_from({"broker": {"kind": "embedded", "data_dir": f"notes{below}"}}, {}, tmp_path)
    assert str(caught.value).startswith(f"args.broker.data_dir: 'notes{below}' is refused; allowed: a folder")


def test_attempts_of_one_class_leave_the_others_as_they_are() -> None:
    """What is given is laid over the defaults."""
    given = settings_from({"consumer": {"max_attempts_by_class": {"InternalError": 9}}}, {})
    defaults = Settings().consumer.max_attempts_by_class
    assert given.consumer.max_attempts_by_class == {**defaults, "InternalError": 9}
    assert defaults["InternalError"] != 9


@pytest.mark.parametrize(
    ("args", "path", "meant"),
    [
        ({"consumr": {}}, "args.consumr", "consumer"),
        ({"consumer": {"max_in_fligh": 1}}, "args.consumer.max_in_fligh", "max_in_flight"),
        ({"broker": {"kind": "embedded", "prt": 1}}, "args.broker.prt", "port"),
        (
            {"consumer": {"max_attempts_by_class": {"WorkerLostErr": 1}}},
            "args.consumer.max_attempts_by_class.WorkerLostErr",
            "WorkerLostError",
        ),
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


@pytest.mark.parametrize("server", ["h:99999", "h:0", "h:abc", "nohost", "http://h:9", "h:9,,", "u:pw@h:9"])
def test_addresses_of_no_broker_are_refused(server: str) -> None:
    """Each is host:port; what may be a password before an @ is not repeated."""
    with pytest.raises(SettingsError, match=r"broker.bootstrap_servers: .*allowed: host:port") as caught:
        settings_from({"broker": {"kind": "cluster", "bootstrap_servers": server}}, {})
    assert "pw" not in str(caught.value)


def test_addresses_of_brokers_are_taken() -> None:
    """Names, addresses of both families, and several of them."""
    servers = "kafka-0.kafka:9092, 10.0.0.1:9093,[::1]:9092"
    broker = settings_from({"broker": {"kind": "cluster", "bootstrap_servers": servers}}, {}).broker
    assert broker.bootstrap_servers == servers


def test_a_number_from_the_environment_is_shown() -> None:
    """It is no secret, and who set it wants to see it."""
    args = {"broker": {"kind": "embedded", "port": "${PORT:-19092}"}}
    with pytest.raises(SettingsError, match=r"args.broker.port: 80 from \$\{PORT:-19092\} is refused"):
        settings_from(args, {"PORT": "80"})
