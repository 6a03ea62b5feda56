"""``decoder.containment: require`` under Serve, where the decoder's replica lacks a guard."""

from __future__ import annotations

import errno
import os
import platform
import sys
from pathlib import Path

import pytest
from ray import serve

from serve_app.app import Parts, compose
from serve_app.config import settings_from
from serve_app.preparation import Preparation
from serve_app.settings import Settings
from serve_app.video import kernel, landlock, seccomp
from tests.brokers import Kafka
from tests.serve.applications import config_for, wait_until_settled


def without_landlock(settings: Settings) -> Preparation:
    """The real one, in a process that is refused Landlock as by a kernel without it; so are its children."""
    missing = seccomp.when(landlock.CREATE_RULESET, seccomp.ERRNO | errno.EOPNOTSUPP)
    lines = [(seccomp.LOAD, 0, 0, seccomp.NUMBER_AT), *missing, (seccomp.RETURN, 0, 0, seccomp.ALLOW)]
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(platform.machine(), lines)
    return Preparation(settings)


@pytest.mark.skipif(sys.platform != "linux", reason="the guards are Linux' own")
def test_require_keeps_the_application_from_starting(http_url: str, kafka: Kafka, tmp_path: Path) -> None:
    """The deployment fails, and its status names the setting, the guard and the platform's reason."""
    assert http_url
    document = config_for(kafka, tmp_path, decoder={"containment": "require"})
    (own,) = document["applications"]
    application = compose(settings_from(own["args"], os.environ), Parts(prepare=without_landlock))
    with pytest.raises(RuntimeError, match=own["name"]):
        serve.run(application, name=own["name"], route_prefix=own["route_prefix"])
    try:
        failed = wait_until_settled(own["name"])
        assert failed.status == "DEPLOY_FAILED"
        told = "\n".join([failed.message, *(one.message for one in failed.deployments.values())])
        assert "decoder.containment: 'require' is refused; this machine lacks " in told
        assert "landlock_files (Operation not supported)" in told
    finally:
        serve.delete(own["name"])
