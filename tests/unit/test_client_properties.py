"""``broker.client``: secrets, properties of capstream, and what librdkafka says."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.checks import check_file, checked
from serve_app.config import settings_from
from serve_app.errors import SettingsError
from tests.serve_yaml import GOOD


def refusals(args: dict[str, Any], env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings_from(args, env or {})
    return str(caught.value).splitlines()


def cluster(client: dict[str, Any]) -> dict[str, Any]:
    return {"broker": {"kind": "cluster", "bootstrap_servers": "h:1", "client": client}}


@pytest.mark.parametrize("value", ["hunter2", 123456, "${PW:-hunter2}", "hunter2${PW}", "a$${b}"])
def test_a_secret_in_the_file_is_refused(value: object) -> None:
    """It has to come from the environment whole, and is not repeated."""
    told = refusals(cluster({"sasl.password": value}), {"PW": "x"})
    assert told == [
        (
            "args.broker.client.sasl.password: a secret may not stand in the file: "
            "write ${NAME} and set that environment variable"
        )
    ]


def test_a_secret_is_told_beside_all_else() -> None:
    """It hides no other violation."""
    told = refusals(cluster({"sasl.password": "hunter2"}) | {"topics": {"partitions": 0}})
    assert [line.partition(": ")[0] for line in told] == [
        "args.broker.client.sasl.password",
        "args.topics.partitions",
    ]


def test_what_only_leads_to_a_secret_may_stand_in_the_file() -> None:
    """Paths and addresses of secrets are none, and an empty secret is left out."""
    client = {"ssl.key.location": "/run/key", "sasl.oauthbearer.token.endpoint.url": "https://t"}
    broker = settings_from(
        cluster({**client, "ssl.key.password": "${PW:-}", "sasl.password": None}), {}
    ).broker
    assert broker.client == client


def test_client_properties_become_text() -> None:
    """As librdkafka writes numbers and switches; quoting them makes no difference."""
    client = {"socket.keepalive.enable": True, "fetch.min.bytes": 2, "a": 2.5, "b": 3.0, "c": "off"}
    assert settings_from(cluster(client), {}).broker.client == {
        "socket.keepalive.enable": "true",
        "fetch.min.bytes": "2",
        "a": "2.5",
        "b": "3",
        "c": "off",
    }


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("group.id", "set by capstream itself: consumer.group_id decides it"),
        ("acks", "set by capstream itself: leave it out"),
        (
            "metadata.broker.list",
            "another name of bootstrap.servers, set by capstream itself: broker.bootstrap_servers decides it",
        ),
        ("request.required.acks", "another name of acks, set by capstream itself: leave it out"),
    ],
)
def test_client_properties_of_capstream_are_refused(key: str, told: str) -> None:
    """Under whatever name, with the setting that decides them."""
    assert refusals(cluster({key: "x"})) == [f"args.broker.client.{key}: 'x' is refused: {told}"]


@pytest.mark.parametrize(
    ("client", "told"),
    [
        (
            {"sasl.pasword": "${PW}"},
            ".sasl.pasword: librdkafka has no such property; did you mean sasl.password?",
        ),
        ({"quite.other": "1"}, ".quite.other: librdkafka has no such property"),
        (
            {"default.topic.config": "x"},
            ".default.topic.config: the value is refused by librdkafka: it takes a",
        ),
        (
            {"security.protocol": "${PW}"},
            ".security.protocol: the value is refused by librdkafka: Invalid value *",
        ),
        (
            {"statistics.interval.ms": -1},
            ".statistics.interval.ms: the value is refused by librdkafka; allowed: 0 to 86400000",
        ),
        (
            {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"},
            ": producer: sasl.username and sasl.password must be set",
        ),
    ],
)
def test_librdkafka_is_asked_about_its_properties(tmp_path: Path, client: dict[str, Any], told: str) -> None:
    """Unknown names and impossible values are told before anything connects, and no value is repeated."""
    document = copy.deepcopy(GOOD)
    broker = {"kind": "cluster", "bootstrap_servers": "h:1", "client": client}
    document["applications"][0]["args"]["broker"] = broker
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(document))
    (line,) = check_file(path, {"PW": "hunter2"})
    assert line.startswith(f"args.broker.client{told}")
    assert "hunter2" not in line
    with pytest.raises(SettingsError) as caught:
        checked({"broker": broker}, {"PW": "hunter2"}, tmp_path)
    assert str(caught.value) == line


def test_credentials_in_an_address_are_a_secret() -> None:
    """As literals they are refused, from the environment they are not shown."""
    key = "sasl.oauthbearer.token.endpoint.url"
    (told,) = refusals(cluster({key: "https://u:hunter2@h/x"}))
    assert told.startswith(f"args.broker.client.{key}: a secret may not stand in the file")
    settings = settings_from(cluster({key: "${URL}"}), {"URL": "https://u:hunter2@h/x"})
    assert "hunter2" not in str(settings.shown())


@pytest.mark.parametrize("value", ["", None, "${KAFKA_X:-}"])
def test_the_name_of_an_empty_property_is_checked(value: object, tmp_path: Path) -> None:
    """A slip shows before the variable is set, not after."""
    with pytest.raises(SettingsError, match=r"client\.sasl\.pasword: .*did you mean sasl\.password\?"):
        checked(cluster({"sasl.pasword": value}), {}, tmp_path)
