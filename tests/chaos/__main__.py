"""Kills everything under load, then proves from the topics that every request ended exactly once.

    python -m tests.chaos --short
    python -m tests.chaos --long --seed 7 --out chaos.json

Exit code 1 says that the promise was broken; the report says how.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import click

from serve_app.errors import CapstreamError
from tests.chaos.application import Mode
from tests.chaos.course import Outcome, run
from tests.chaos.report import rows, summary, table
from tests.chaos.schedule import LONG, MEDIUM, SHORT
from tests.chaos.verdict import Delivery

FORMS = {"short": SHORT, "medium": MEDIUM, "long": LONG}
LOG_LINES = 60


@click.command()
@click.option("--short", "form", flag_value="short", default=True, help="Some minutes: the default.")
@click.option("--medium", "form", flag_value="medium", help="About ten minutes.")
@click.option("--long", "form", flag_value="long", help="About 15 minutes.")
@click.option("--delivery", type=click.Choice(["exactly_once", "at_least_once"]), default="exactly_once")
@click.option(
    "--group-protocol",
    type=click.Choice(["classic", "consumer"]),
    default="classic",
    help="consumer: KIP-848.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of requests and faults.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the result as JSON, too.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the logs here.")
def main(
    *,
    form: str,
    delivery: Delivery,
    group_protocol: Literal["classic", "consumer"],
    seed: int,
    out: Path | None,
    keep: Path | None,
) -> None:
    """Kill consumers, decoders, captioners, brokers and Serve's controller under load."""
    logging.getLogger().addHandler(logging.NullHandler())
    # Ray and the application would outlive us otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    began_s = time.monotonic()
    # Ray's sockets lie in it, and their paths may not be long.
    with tempfile.TemporaryDirectory(prefix="cs-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        place = Path(folder)

        def say(text: str) -> None:
            click.echo(f"{time.monotonic() - began_s:6.0f} s  {text}")

        try:
            outcome = run(FORMS[form], Mode(delivery, group_protocol), seed, place, say)
        except CapstreamError as error:
            click.echo(f"the chaos run failed: {error}", err=True)
            _show_log(place, keep)
            sys.exit(1)
        faults = [*outcome.troubles, *outcome.verdict.faults(delivery)]
        if faults or keep:
            _show_log(place, keep)
    wall_s = time.monotonic() - began_s
    click.echo(f"\n{table(rows(outcome.effects))}\n")
    click.echo(summary(outcome.verdict, delivery, outcome.kills, wall_s))
    for fault in faults:
        click.echo(f"BROKEN: {fault}")
    if out is not None:
        asked = {
            "form": form,
            "delivery": delivery,
            "group_protocol": group_protocol,
            "seed": seed,
            "wall_s": round(wall_s, 1),
        }
        out.write_text(json.dumps(asked | _as_json(outcome, faults), indent=1))
    sys.exit(1 if faults else 0)


def _as_json(outcome: Outcome, faults: list[str]) -> dict[str, Any]:
    return {
        "sigkills": outcome.kills,
        "broken": faults,
        "verdict": asdict(outcome.verdict),
        "faults": [asdict(one) | {"kind": one.kind.value} for one in outcome.effects],
        "rows": [asdict(row) | {"kind": row.kind.value} for row in rows(outcome.effects)],
    }


def _show_log(folder: Path, keep: Path | None) -> None:
    log = folder / "serve.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    if keep is None:
        click.echo("\n".join(text.splitlines()[-LOG_LINES:]), err=True)
        return
    keep.mkdir(parents=True, exist_ok=True)
    (keep / "serve.log").write_text(text)
    for broker in folder.glob("kafka/*/broker.log*"):
        (keep / f"{broker.parent.name}-{broker.name}").write_bytes(broker.read_bytes())


if __name__ == "__main__":
    main()
