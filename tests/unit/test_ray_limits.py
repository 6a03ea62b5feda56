"""Values that Ray's own models let through: what is impossible is told all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from serve_app.checks import check_file
from serve_app.serve_yaml import check_ray_keys
from tests.serve_yaml import AT, FIRST, SECOND, Steps, changed

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
        (
            ("http_options", "ssl_keyfile_password"),
            "hunter2",
            (
                "http_options.ssl_keyfile_password: a secret may not stand in the file; "
                "use a key file without one"
            ),
        ),
        (
            (*FIRST, "ray_actor_options"),
            {"resources": {"x": -1}},
            f"{AT[0]}.ray_actor_options.resources.x: '-1' is refused; allowed: a number, at least 0",
        ),
        (
            (*FIRST, "ray_actor_options"),
            {"num_gpus": 1.5},
            f"{AT[0]}.ray_actor_options.num_gpus: '1.5' is refused: above 1 only whole numbers",
        ),
        (
            (*FIRST, "user_config"),
            {"a": 1},
            f"{AT[0]}.user_config: only captioners take one; what other deployments take stands in args",
        ),
        (
            (*APPLICATION, "runtime_env"),
            {"env_vars": {"A": 1}},
            "applications[0].runtime_env.env_vars.A: '1' is refused; allowed: text, in quotes",
        ),
        (
            (*APPLICATION, "runtime_env"),
            {"env_vars": {"KAFKA_SASL_PASSWORD": "hunter2"}},
            (
                "applications[0].runtime_env.env_vars.KAFKA_SASL_PASSWORD: a secret may not stand "
                "in the file; set it for the processes"
            ),
        ),
        (
            (*APPLICATION, "autoscaling_policy"),
            {"policy_functon": "x:y"},
            (
                "applications[0].autoscaling_policy.policy_functon: unknown key; did you mean policy_function"
                "? (known: policy_function, policy_kwargs)"
            ),
        ),
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
    ("given", "reserved"),
    [
        ({}, "0"),
        ({"ray_actor_options": {"num_gpus": 1}}, "1"),
        ({"ray_actor_options": {"num_gpus": 2}}, None),
        ({"placement_group_bundles": [{"GPU": 1, "CPU": 1}, {"GPU": 1}]}, None),
        ({"placement_group_bundles": [{"CPU": 1}]}, "0"),
    ],
)
def test_an_engine_on_several_gpus_needs_them_reserved(
    tmp_path: Path, given: dict[str, object], reserved: str | None
) -> None:
    """By the deployment's resources or by its bundles."""
    document = changed(FIRST, {"name": "Captioner-big", "max_ongoing_requests": 64, **given})
    engine = {"kind": "vllm", "model": "m", "tensor_parallel_size": 2}
    document["applications"][0]["args"]["captioners"] = {"big": {"engine": engine}}
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(document))
    sentence = (
        "args.captioners.big.engine.tensor_parallel_size: 2 is refused; allowed: at most the GPUs that the "
        f"deployment Captioner-big reserves, {reserved}, by its num_gpus or bundles"
    )
    assert check_file(path, {}) == ([sentence] if reserved else [])


def test_a_captioner_that_no_setting_names_is_told(tmp_path: Path) -> None:
    """Ray would refuse its options without saying why it is not there."""
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(changed(FIRST, {"name": "Captioner-big"})))
    assert check_file(path, {}) == [
        f"{AT[0]}.name: 'Captioner-big' has no args.captioners; those that have: none"
    ]


@pytest.mark.parametrize(("http", "told"), [({}, "8000"), ({"port": 8001}, "8001"), ({"port": 8002}, None)])
def test_one_port_for_two_is_told(tmp_path: Path, http: dict[str, int], told: str | None) -> None:
    """HTTP and the embedded broker, which takes two ports, listen apart; 8000 where the file says nothing."""
    document = changed(("http_options",), http)
    document["applications"][0]["args"]["broker"] = {"kind": "embedded", "port": 8000}
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(document))
    sentence = (
        f"args.broker.port: 8000 is refused; allowed: one that leaves http_options.port, {told}, to Serve"
    )
    assert [line.split(";")[:2] for line in check_file(path, {})] == ([sentence.split(";")] if told else [])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ray_actor_options", {"resources": {"CPU": 1}}),
        ("placement_group_strategy", "FOO"),
        ("placement_group_bundles", [{"CPU": -1}]),
        ("placement_group_bundles", [{}]),
    ],
)
def test_what_ray_refuses_when_it_deploys_is_told_before(key: str, value: object) -> None:
    """Ray's own sentence, with the place in the file."""
    found = check_ray_keys(changed((*FIRST, key), value))
    assert [line.partition(": ")[0] for line in found] == [f"{AT[0]}.{key}"]


def test_half_of_a_tls_pair_is_refused() -> None:
    """A key file needs a certificate file."""
    (told,) = check_ray_keys(changed(("http_options", "ssl_keyfile"), "/nope"))
    assert told.startswith("http_options")
    assert "ssl_certfile" in told
