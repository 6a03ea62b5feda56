"""The keys of a Serve YAML that are Ray's: what Ray ignores or refuses late is told at once."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from serve_app.checks import check_file
from serve_app.serve_yaml import check_ray_keys
from tests.serve_yaml import AT, FIRST, GOOD, SECOND, Steps, changed

ROOT = Path(__file__).parents[2]


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
