"""The keys of a Serve YAML that are Ray's: what Ray ignores or refuses late is told at once."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.checks import check_file, checked
from serve_app.errors import SettingsError
from serve_app.serve_yaml import check_ray_keys

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "x-note": "free",
    "proxy_location": "HeadOnly",
    "http_options": {"host": "127.0.0.1", "port": 8000},
    "applications": [
        {
            "name": "capstream",
            "route_prefix": "/",
            "import_path": "serve_app.app:build",
            "args": {"topics": {"partitions": 3}},
            "deployments": [
                {"name": "Consumer", "num_replicas": 2, "user_config": {"anything": 1}},
                {
                    "name": "Decoder",
                    "num_replicas": "auto",
                    "autoscaling_config": {
                        "min_replicas": 1,
                        "max_replicas": 4,
                        "policy": {"policy_function": "os.path:join", "policy_kwargs": {"target": 0.7}},
                    },
                    "ray_actor_options": {"num_cpus": 1, "runtime_env": {"env_vars": {"A": "1"}}},
                    "logging_config": {"log_level": "INFO"},
                },
            ],
        }
    ],
}
AT = ("applications[0].deployments[0]", "applications[0].deployments[1]")
Steps = tuple[str | int, ...]
FIRST: Steps = ("applications", 0, "deployments", 0)
SECOND: Steps = ("applications", 0, "deployments", 1)


def changed(place: Steps, value: object) -> dict[str, Any]:
    """The good document with one value put in."""
    document = copy.deepcopy(GOOD)
    inner: Any = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return document


def test_a_good_file_has_no_violations(tmp_path: Path) -> None:
    """What Ray knows is allowed at every level, and what is free stays free."""
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    assert check_file(path, {}) == []


@pytest.mark.parametrize("name", ["serve.yaml", "serve.kafka.yaml"])
def test_our_own_files_are_good(name: str) -> None:
    """The files that the README starts pass their own check."""
    assert check_file(ROOT / "configs" / name, {"KAFKA_BOOTSTRAP_SERVERS": "h:9092"}) == []


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (("http_option",), "http_option: unknown key; did you mean http_options?"),
        (("http_options", "prot"), "http_options.prot: unknown key; did you mean port?"),
        (("logging_config",), "logging_config.x: unknown key"),
        (("grpc_options",), "grpc_options.x: unknown key"),
        (("applications", 0, "arg"), "applications[0].arg: unknown key; did you mean args?"),
        (
            (*FIRST, "num_replica"),
            f"{AT[0]}.num_replica: unknown key; did you mean num_replicas?",
        ),
        ((*FIRST, "autoscaling"), f"{AT[0]}.autoscaling: unknown key; did you mean autoscaling_config?"),
        (
            (*FIRST, "request_router_config"),
            f"{AT[0]}.request_router_config.x: unknown key",
        ),
        (
            (*SECOND, "autoscaling_config", "min_replica"),
            f"{AT[1]}.autoscaling_config.min_replica: unknown key; did you mean min_replicas?",
        ),
        (
            (*SECOND, "autoscaling_config", "policy", "polcy_kwargs"),
            (f"{AT[1]}.autoscaling_config.policy.polcy_kwargs: unknown key; did you mean policy_kwargs?"),
        ),
        (
            (*SECOND, "ray_actor_options", "num_cpu"),
            f"{AT[1]}.ray_actor_options.num_cpu: unknown key; did you mean num_cpus?",
        ),
        (
            (*SECOND, "ray_actor_options", "runtime_env", "env_var"),
            f"{AT[1]}.ray_actor_options.runtime_env.env_var: unknown key; did you mean env_vars?",
        ),
        (
            ("applications", 0, "runtime_env"),
            "applications[0].runtime_env.x: unknown key",
        ),
        (
            (*SECOND, "logging_config", "level"),
            f"{AT[1]}.logging_config.level: unknown key; did you mean log_level?",
        ),
    ],
)
def test_an_unknown_key_is_told_once(place: Steps, told: str) -> None:
    """Ray drops most of them in silence, and we tell each with its path, whatever Ray does."""
    (line,) = check_ray_keys(changed(place, {"x": 1}))
    assert line.startswith(f"{told} (known: ")


ONE_NODE = "allowed: 1, since the embedded broker is one node"
ROUTE = "allowed: / or /path, without a slash at its end, without { and }"
PORT = "allowed: whole number, at least 1, at most 65,535"
APPLICATION: Steps = ("applications", 0)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (
            ("proxy_location",),
            "Everywhere",
            "proxy_location: 'Everywhere' is refused; allowed: Disabled, HeadOnly, EveryNode",
        ),
        (("http_options", "port"), "eight", f"http_options.port: 'eight' is refused; {PORT}"),
        (("http_options", "port"), 99_999, f"http_options.port: '99999' is refused; {PORT}"),
        (("http_options", "port"), -1, f"http_options.port: '-1' is refused; {PORT}"),
        (("http_options", "port"), True, f"http_options.port: 'true' is refused; {PORT}"),
        (("grpc_options",), {"port": 0}, f"grpc_options.port: '0' is refused; {PORT}"),
        (
            ("http_options", "request_timeout_s"),
            -4,
            "http_options.request_timeout_s: '-4' is refused; allowed: number, above 0",
        ),
        (
            (*APPLICATION, "route_prefix"),
            "x",
            f"applications[0].route_prefix: 'x' is refused; {ROUTE}",
        ),
        (
            (*APPLICATION, "route_prefix"),
            "/x/",
            f"applications[0].route_prefix: '/x/' is refused; {ROUTE}",
        ),
        (
            (*FIRST, "max_ongoing_requests"),
            0,
            f"{AT[0]}.max_ongoing_requests: '0' is refused; allowed: whole number, above 0",
        ),
        (
            (*FIRST, "num_replicas"),
            True,
            f"{AT[0]}.num_replicas: 'true' is refused; allowed: whole number, above 0, or one of: auto",
        ),
        (
            (*FIRST, "num_replicas"),
            0,
            f"{AT[0]}.num_replicas: '0' is refused; allowed: whole number, above 0, or one of: auto",
        ),
        (
            (*FIRST, "num_replicas"),
            "many",
            f"{AT[0]}.num_replicas: 'many' is refused; allowed: whole number, above 0, or one of: auto",
        ),
        (
            (*FIRST, "max_replicas_per_node"),
            0,
            f"{AT[0]}.max_replicas_per_node: '0' is refused; allowed: whole number, at least 1, at most 100",
        ),
        (
            (*SECOND, "ray_actor_options", "num_gpus"),
            -1,
            f"{AT[1]}.ray_actor_options.num_gpus: '-1' is refused; allowed: number, at least 0",
        ),
        (
            (*SECOND, "autoscaling_config", "max_replicas"),
            0,
            f"{AT[1]}.autoscaling_config.max_replicas: '0' is refused; allowed: whole number, above 0",
        ),
        (FIRST, {"name": "Broker", "num_replicas": 2}, f"{AT[0]}.num_replicas: '2' is refused; {ONE_NODE}"),
        (
            FIRST,
            {"name": "Broker", "num_replicas": "auto"},
            f"{AT[0]}.num_replicas: 'auto' is refused; {ONE_NODE}",
        ),
        (
            FIRST,
            {"name": "Broker", "autoscaling_config": {"max_replicas": 3}},
            f"{AT[0]}.autoscaling_config.max_replicas: '3' is refused; {ONE_NODE}",
        ),
        (
            (*FIRST, "name"),
            "Consumr",
            (
                f"{AT[0]}.name: 'Consumr' is no deployment of capstream; "
                "allowed: Broker, Consumer, Decoder, Captioner, Ingress"
            ),
        ),
        (
            (*SECOND, "name"),
            "Consumer",
            f"{AT[1]}.name: 'Consumer' stands twice in this application",
        ),
    ],
)
def test_an_impossible_value_is_told(place: Steps, value: object, told: str) -> None:
    """Ray's own models decide, the ones that Ray asks only later included."""
    assert check_ray_keys(changed(place, value)) == [told]


def test_bounds_of_replicas_that_contradict_each_other_are_told() -> None:
    """Ray notices this one only when it deploys."""
    (line,) = check_ray_keys(changed((*SECOND, "autoscaling_config", "min_replicas"), 5))
    assert line.startswith(f"{AT[1]}.autoscaling_config")
    assert "max_replicas" in line


@pytest.mark.parametrize("value", [None, 3, "x", [1], {"deployments": 3}, [None], [{"deployments": [None]}]])
def test_a_misshapen_file_is_told_not_raised(value: object) -> None:
    """Whatever stands where the applications belong, the check ends with a violation."""
    assert check_ray_keys({"applications": value})


def test_secrets_are_not_told() -> None:
    """A password of the wrong type is refused without being repeated."""
    (line,) = check_ray_keys(changed(("http_options", "ssl_keyfile_password"), 123456))
    assert "ssl_keyfile_password" in line
    assert "123456" not in line


def test_both_halves_of_a_file_are_told_together(tmp_path: Path) -> None:
    """Ray's keys and ours, in one go."""
    document = changed((*FIRST, "num_replica"), 1)
    document["applications"][0]["args"]["topics"]["partitions"] = 0
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(document))
    assert [line.partition(":")[0] for line in check_file(path, {})] == [
        f"{AT[0]}.num_replica",
        "args.topics.partitions",
    ]


def test_the_broker_deployment_belongs_to_the_embedded_broker(tmp_path: Path) -> None:
    """With a cluster of one's own there is no such deployment to configure."""
    document = changed(FIRST, {"name": "Broker"})
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(document))
    assert check_file(path, {}) == []
    document["applications"][0]["args"]["broker"] = {"kind": "cluster", "bootstrap_servers": "h:1"}
    path.write_text(yaml.safe_dump(document))
    assert check_file(path, {}) == [f"{AT[0]}.name: 'Broker' needs broker.kind embedded, found cluster"]


def test_other_applications_name_their_deployments_themselves(tmp_path: Path) -> None:
    """Several applications may stand in one file."""
    document = copy.deepcopy(GOOD)
    other = {"name": "Broker", "num_replicas": 2}
    document["applications"].append(
        {"name": "b", "route_prefix": "/b", "import_path": "other:app", "deployments": [other, {"name": "X"}]}
    )
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(document))
    assert check_file(path, {}) == []


def test_a_file_without_our_application_is_told(tmp_path: Path) -> None:
    """It may be good for Ray, but it starts something else."""
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(changed(("applications", 0, "import_path"), "other:app")))
    assert check_file(path, {}) == [
        f"{path}: exactly one application needs import_path serve_app.app:build, found 0"
    ]


@pytest.mark.parametrize(("batch", "ongoing"), [(64, 127), (33, None)])
def test_batches_that_cannot_fill_are_told(tmp_path: Path, batch: int, ongoing: int | None) -> None:
    """The Captioner must be let have as many requests as its batches hold; 64 where the file says nothing."""
    captioner = {"name": "Captioner"} | ({"max_ongoing_requests": ongoing} if ongoing else {})
    document = changed(FIRST, captioner)
    document["applications"][0]["args"]["captioner"] = {"batch": {"max_batch_size": batch, "overlap": 2}}
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(document))
    assert check_file(path, {}) == [
        (
            f"args.captioner.batch: max_batch_size {batch} x overlap 2 is {2 * batch} requests, but a "
            f"Captioner takes {ongoing or 64}; allowed: at most max_ongoing_requests of the deployment "
            "Captioner"
        )
    ]


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
