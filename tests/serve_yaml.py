"""A Serve YAML that is good, and the same with something wrong."""

from __future__ import annotations

import copy
from typing import Any

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
                {"name": "Consumer", "num_replicas": 2, "ray_actor_options": {"resources": {"anything": 1}}},
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
