"""Which module may import which: the boundaries that keep the parts small."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("consumers", "serve_app")
SHARED = ("schema", "errors", "settings", "telemetry")  # what the Kafka side may know of the tiers
COMPOSERS = (
    "serve_app.app",
    "serve_app.checks",
    "serve_app.cli",
    "serve_app.demo",
)  # what may know both sides
PURE = (
    "consumers.ledger",
    "consumers.flow",
    "consumers.records",
    "consumers.transport",
    "serve_app.sources.addresses",
    "serve_app.sources.guard",
    "serve_app.video.sampling",
    "serve_app.video.scenes",
    "serve_app.video.profiles",
    "serve_app.video.plan",
    "serve_app.video.geometry",
    "serve_app.video.index",
    "serve_app.video.frames",
    "serve_app.video.nal",
    "serve_app.video.obu",
    "serve_app.video.references",
)
WITHOUT_IO = (*PURE, "consumers.dispatch", "consumers.runner")
OUTSIDE_WORLD = {"ray", "confluent_kafka", "av", "aiohttp", "subprocess", "socket"}
CLOCKS_AND_DICE = {"time", "random", "secrets", "datetime"}
GPU = {"vllm", "torch", "torchvision", "transformers", "qwen_vl_utils"}
OF_THE_PARITY_TESTS = {"cv2", "scenedetect"}  # whose rules are followed and not imported
GPU_TIER = ("serve_app.engines.vllm",)
# Every file that knows one of these libraries. A new line here is a decision, not an accident.
KNOWN_BY = {
    "ray": {
        "consumers.broker_deployment",
        "consumers.deployment",
        "consumers.halt",
        "serve_app.app",
        "serve_app.deployments.batches",
        "serve_app.deployments.calls",
        "serve_app.deployments.captioner",
        "serve_app.deployments.decoder",
        "serve_app.deployments.ingress",
        "serve_app.driver",
        "serve_app.ray_limits",
        "serve_app.serve_yaml",
    },
    "confluent_kafka": {
        "consumers.at_least_once",
        "consumers.audit",
        "consumers.cluster",
        "consumers.committed",
        "consumers.dead_letters",
        "consumers.ends",
        "consumers.group",
        "consumers.kafka",
        "consumers.messages",
        "consumers.producer",
        "consumers.properties",
        "consumers.publishing",
        "consumers.reader",
        "consumers.receipts",
        "consumers.replay",
        "consumers.sender",
        "consumers.snapshot",
        "consumers.startup",
        "consumers.topics",
        "consumers.transactions",
        "consumers.window_producer",
    },
    "av": {
        "serve_app.video.clips",
        "serve_app.video.container",
        "serve_app.video.input",
        "serve_app.video.stream",
    },
}


def name_of(path: Path) -> str:
    """``a/b/__init__.py`` as ``a.b``, ``a/b.py`` as ``a.b``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its name."""
    return {name_of(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


@cache
def imports(name: str) -> frozenset[str]:
    """What a module names in its imports, wherever they stand; type checking and functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules()[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {str(node.module)} | (below & modules().keys())
    return frozenset(found)


@cache
def reached(name: str) -> frozenset[str]:
    """What a module imports, and what our own modules among it import, to the end."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        if one in modules():
            parents = [one.rsplit(".", depth)[0] for depth in range(1, one.count(".") + 1)]
            todo += [*imports(one), *parents]
    return frozenset(seen - {name})


def libraries(names: frozenset[str]) -> set[str]:
    """The packages that hold these modules."""
    return {one.partition(".")[0] for one in names}


def within(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a module is one of these or lies below one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def test_every_module_is_seen() -> None:
    """The walk finds the modules that the other tests speak of, and their imports."""
    assert {*WITHOUT_IO, *set().union(*KNOWN_BY.values())} <= modules().keys()
    assert "serve_app.video.container" in reached("serve_app.video.child")
    assert "consumers.ledger" in imports("consumers.runner")


def test_the_kafka_side_knows_only_what_is_shared() -> None:
    """``consumers`` imports schema, errors, settings and telemetry of ``serve_app``, and nothing else."""
    allowed = tuple(f"serve_app.{part}" for part in SHARED)
    found = {
        f"{name} imports {one}"
        for name in modules()
        if within(name, ("consumers",))
        for one in imports(name)
        if within(one, ("serve_app",)) and not within(one, allowed)
    }
    assert not found


def test_the_tiers_do_not_know_the_kafka_side() -> None:
    """Only the composition root, the command line and the demo import ``consumers``."""
    found = {
        f"{name} imports {one}"
        for name in modules()
        if within(name, ("serve_app",)) and not within(name, COMPOSERS)
        for one in imports(name)
        if within(one, ("consumers",))
    }
    assert not found


def test_what_is_shared_knows_neither_side() -> None:
    """Schema, errors, settings, and the tasks that settings change, import nothing of ours but each other."""
    shared = (*(f"serve_app.{part}" for part in SHARED), "serve_app.tasks")
    found = {
        f"{name} imports {one}"
        for name in modules()
        if within(name, shared)
        for one in imports(name)
        if within(one, PACKAGES) and not within(one, shared)
    }
    assert not found


@pytest.mark.parametrize("name", WITHOUT_IO)
def test_the_core_knows_no_outside_world(name: str) -> None:
    """Neither these modules nor what they import know Ray, Kafka, FFmpeg, the network or processes."""
    assert not libraries(reached(name)) & OUTSIDE_WORLD


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_ask_for_no_time_and_no_chance(name: str) -> None:
    """Both are arguments, so that the same input gives the same output."""
    assert not libraries(imports(name)) & CLOCKS_AND_DICE


@pytest.mark.parametrize("library", KNOWN_BY)
def test_a_library_is_known_by_few(library: str) -> None:
    """Each of the large libraries is imported in exactly the files that are listed for it."""
    assert {name for name in modules() if library in libraries(imports(name))} == KNOWN_BY[library]


def test_the_cpu_tier_knows_no_gpu_library() -> None:
    """Only the GPU engines may import what needs a GPU."""
    found = {name for name in modules() if libraries(imports(name)) & GPU and not within(name, GPU_TIER)}
    assert not found


def test_nothing_needs_what_only_the_parity_tests_install() -> None:
    """PySceneDetect and the OpenCV that it brings are references, not dependencies."""
    assert not {name for name in modules() if libraries(imports(name)) & OF_THE_PARITY_TESTS}


def test_the_decoding_process_loads_neither_ray_nor_kafka() -> None:
    """What reads hostile files has no client of the cluster in its memory."""
    look = "import sys, serve_app.video.child; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    command = [sys.executable, "-c", look]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert {"av", "numpy", "serve_app"} <= set(loaded.split())
    assert not set(loaded.split()) & {"ray", "confluent_kafka", "consumers", "aiohttp", "grpc", "torch"}
