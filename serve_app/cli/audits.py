"""``capstream audit``: the proof that every request ended exactly once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serve_app.cli.context import settings_of
from serve_app.cli.since import since_option

if TYPE_CHECKING:
    from consumers.tally import Account

SHOWN = 100
FAULTS = {
    "missing": "is done, and there is no caption, no open retry and no dead letter",
    "double": "ended more than once",
    "stray": "has a result, and holds no request",
}


@click.command()
@since_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with totals and all places.")
@click.pass_obj
def audit(config_path: Path | None, *, since_ms: int | None, as_json: bool) -> None:
    """Check that each request ended as one caption, one open retry or one dead letter.

    Requests that the consumer has not finished are counted as undone; they are no fault. Exit code 1 says
    that something is missing or double.
    """
    from consumers.audit import audit as account_for  # noqa: PLC0415  Kafka is needed by few commands

    accounts = account_for(settings_of(config_path), since_ms=since_ms)
    if as_json:
        click.echo(json.dumps(_report(accounts)))
    else:
        _print_table(accounts)
        _print_faults(accounts)
    sys.exit(0 if all(account.sound for account in accounts) else 1)


def _report(accounts: list[Account]) -> dict[str, object]:
    from consumers.tally import total  # noqa: PLC0415  numpy is needed by few commands

    return {
        "sound": all(account.sound for account in accounts),
        "totals": total(accounts),
        **{fault: [place for place, _ in _places(accounts, fault)] for fault in FAULTS},
    }


def _print_table(accounts: list[Account]) -> None:
    from rich.console import Console  # noqa: PLC0415  needed here only
    from rich.table import Table  # noqa: PLC0415

    from consumers.tally import total  # noqa: PLC0415

    columns = list(total([]))
    table = Table("partition", *(name.replace("_", " ") for name in columns), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for account in accounts:
        place = f"{account.partition.topic}-{account.partition.number}"
        table.add_row(place, *(f"{number:,}" for number in total([account]).values()))
    table.add_row("total", *(f"{number:,}" for number in total(accounts).values()), style="bold")
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _print_faults(accounts: list[Account]) -> None:
    for fault, meaning in FAULTS.items():
        places = _places(accounts, fault)
        for place, again in places[:SHOWN]:
            seen = f", again at {', '.join(again)}" if again else ""
            click.echo(f"{fault}: {place} {meaning}{seen}")
        if len(places) > SHOWN:
            click.echo(f"{fault}: {len(places) - SHOWN:,} more, --json lists all")


def _places(accounts: list[Account], fault: str) -> list[tuple[str, list[str]]]:
    return [
        (f"{account.partition.topic}-{account.partition.number}-{offset}", account.again.get(offset, []))
        for account in accounts
        for offset in getattr(account, fault)
    ]
