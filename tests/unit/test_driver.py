"""Which file ``serve run`` was started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.driver import Driver, driver_of, find_driver, folder_of, refuse_bad_config
from serve_app.errors import SettingsError


@pytest.mark.parametrize(
    "options",
    [
        ["serve.yaml"],
        ["./serve.yaml"],
        ["-a", "auto", "serve.yaml"],
        ["--runtime-env", "other.yaml", "serve.yaml"],
        ["--runtime-env=other.yaml", "--non-blocking", "serve.yaml", "name=value"],
        ["serve.yaml", "-d", "folder"],
    ],
)
@pytest.mark.parametrize(
    "program", [["/bin/python", "/bin/serve"], ["/bin/python", "-m", "ray.serve.scripts"]]
)
def test_the_file_is_found_among_the_options(tmp_path: Path, program: list[str], options: list[str]) -> None:
    """The command line is read as ``serve run`` reads it, so that an option's file is not taken for it."""
    for name in ("serve.yaml", "other.yaml"):
        (tmp_path / name).touch()
    found = driver_of([*program, "run", *options], tmp_path)
    assert found is not None
    assert (found.folder, found.config) == (tmp_path, tmp_path / "serve.yaml")


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["/bin/python"],
        ["/bin/serve", "run"],
        ["/bin/serve", "run", "serve_app.app:build", "a=b"],
        ["/bin/serve", "run", "gone.yaml"],
        ["/bin/serve", "run", "--no-such-option", "serve.yaml"],
        ["/bin/serve", "deploy", "serve.yaml"],
        ["/bin/pytest", "run", "serve.yaml"],
    ],
)
def test_other_commands_have_no_file(tmp_path: Path, command: list[str]) -> None:
    """What is not ``serve run`` with a file that is there gives nothing, and raises nothing."""
    (tmp_path / "serve.yaml").touch()
    assert driver_of(command, tmp_path) is None


def test_without_ray_there_is_no_driver() -> None:
    """Outside of a cluster nothing can be seen, paths are relative to here, and nothing is refused."""
    driver = find_driver({})
    assert driver is None
    assert folder_of(driver) == Path.cwd()
    refuse_bad_config(driver, {})


def test_a_bad_file_is_refused_with_every_violation(tmp_path: Path) -> None:
    """The builder ends with the file's name and one line for each."""
    config = tmp_path / "below" / "serve.yaml"
    config.parent.mkdir()
    config.write_text(
        "http_option: {}\n"
        "http_options: {port: 99999}\n"
        "applications: [{name: a, import_path: 'serve_app.app:build', args: {topics: {partitions: 0}}}]"
    )
    with pytest.raises(SettingsError) as caught:
        refuse_bad_config(Driver(tmp_path, config), {})
    first, *rest = str(caught.value).splitlines()
    assert first == f"{config} is refused:"
    assert [line.partition(":")[0] for line in rest] == [
        "http_option",
        "http_options.port",
        "args.topics.partitions",
    ]


@pytest.mark.parametrize(
    ("broker", "told"),
    [
        ("{kind: embedded, data_dir: notes}", "args.broker.data_dir: 'notes' is refused; allowed: a folder"),
        (
            "{kind: cluster, bootstrap_servers: 'h:1', client: {sasl.password: hunter2}}",
            "args.broker.client.sasl.password: a secret may not stand in the file",
        ),
        (
            "{kind: cluster, bootstrap_servers: 'h:1', client: {sasl.pasword: '${PW}'}}",
            "args.broker.client.sasl.pasword: librdkafka has no such property; did you mean sasl.password?",
        ),
    ],
)
def test_the_broker_is_checked_at_start(tmp_path: Path, broker: str, told: str) -> None:
    """Its folder relative to where ``serve run`` was called, secrets and client properties included."""
    (tmp_path / "notes").write_text("here before")
    config = tmp_path / "serve.yaml"
    config.write_text(
        f"applications: [{{name: a, import_path: 'serve_app.app:build', args: {{broker: {broker}}}}}]"
    )
    with pytest.raises(SettingsError) as caught:
        refuse_bad_config(Driver(tmp_path, config), {"PW": "hunter2"})
    _, line = str(caught.value).splitlines()
    assert line.startswith(told)
    assert "hunter2" not in line
