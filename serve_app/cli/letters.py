"""``capstream dlq``: what failed, why, and once more."""

from __future__ import annotations

import heapq
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from serve_app.cli.context import settings_of
from serve_app.cli.pages import document_of, fields_of, line_of, page_of
from serve_app.cli.since import since_option
from serve_app.errors import Stage

if TYPE_CHECKING:
    from consumers.letters import Selection
    from consumers.replay import Replay, Step

Option = Callable[[Callable[..., None]], Callable[..., None]]


def chosen(command: Callable[..., None]) -> Callable[..., None]:
    """The options that choose letters."""
    options: list[Option] = [
        click.option("--class", "error_class", help="Only this error class, such as SourceNotFoundError."),
        click.option("--stage", type=click.Choice(get_args(Stage)), help="Only letters of this stage."),
        since_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def dlq() -> None:
    """List, show or replay dead letters."""


@dlq.command(name="list")
@chosen
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(config_path: Path | None, /, *, limit: int, as_json: bool, **asked: Any) -> None:  # noqa: ANN401  as click hands it over
    """List dead letters, the newest last: place, time, stage, class, attempts, id and message.

    A star says that the letter was replayed already.
    """
    from consumers.dead_letters import DeadLetters  # noqa: PLC0415  Kafka is needed by few commands
    from consumers.receipts import key_of  # noqa: PLC0415

    letters = DeadLetters(settings_of(config_path))
    done = letters.receipts()
    numbers = itertools.count()  # letters of one time in the order of their reading
    found = ((letter.timestamp_ms, next(numbers), letter) for letter in letters.chosen(_selection(**asked)))
    for _, _, letter in reversed(heapq.nlargest(limit, found)):
        replayed = key_of(letter) in done
        if as_json:
            click.echo(json.dumps(fields_of(letter, replayed=replayed)))
        else:
            click.echo(line_of(letter, replayed=replayed))
    if (older := next(numbers) - limit) > 0 and not as_json:
        click.echo(f"capstream: {older} older ones are not shown, see --limit", err=True)


@dlq.command()
@click.argument("wanted", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with the whole value.")
@click.pass_obj
def show(config_path: Path | None, wanted: str, *, as_json: bool) -> None:
    """Show dead letters by request id, or one by its topic-partition-offset: why, headers and value."""
    from consumers.dead_letters import DeadLetters  # noqa: PLC0415  Kafka is needed by few commands
    from consumers.receipts import key_of  # noqa: PLC0415

    letters = DeadLetters(settings_of(config_path))
    done = letters.receipts()
    found = False
    for letter in letters.chosen(_selection(ids=(wanted,))):
        replayed = key_of(letter) in done
        if as_json:
            click.echo(json.dumps(document_of(letter, replayed=replayed)))
        else:
            click.echo(page_of(letter, replayed=replayed))
        found = True
    if not found:
        click.echo(f"capstream: no dead letter has the id or place {wanted!r}", err=True)
        sys.exit(1)


@dlq.command()
@chosen
@click.option("--id", "ids", multiple=True, help="Only this request id or letter's place; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.pass_obj
def replay(config_path: Path | None, /, *, dry_run: bool, **asked: Any) -> None:  # noqa: ANN401  as click hands it over
    """Send the chosen dead letters back to the input topic, each once, however often this is called.

    Exit code 1 says that some cannot be sent.
    """
    from consumers.replay import Ended, Fate, Replay  # noqa: PLC0415  Kafka is needed by few commands

    run = Replay(settings_of(config_path), _selection(**asked), lambda: time.time_ns() // 1_000_000)
    counts = dict.fromkeys(Fate, 0)
    left = []
    for step in run.dry() if dry_run else _shown(run):
        if isinstance(step, Ended):
            counts[step.fate] += 1
            if step.fate is not Fate.SENT and step.fate is not Fate.SENT_BEFORE:
                left.append(f"{step.letter.place}  {step.letter.id}  {step.fate.value}")
    for line in left:
        click.echo(line)
    for fate, count in counts.items():
        if count or fate is (Fate.WOULD_BE_SENT if dry_run else Fate.SENT):
            click.echo(f"{count} {fate.value}")
    sys.exit(1 if counts[Fate.VALUE_GONE] or counts[Fate.TOO_LARGE] else 0)


def _shown(run: Replay) -> Iterator[Step]:
    """The steps of a replay, with a bar on stderr."""
    from rich.console import Console  # noqa: PLC0415  needed here only
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    from consumers.replay import Ended, Fate, Read  # noqa: PLC0415

    columns = (TextColumn("read"), BarColumn(), MofNCompleteColumn(), TextColumn("sent {task.fields[sent]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=run.total, sent=0)
        sent = 0
        for step in run.steps():
            sent += isinstance(step, Ended) and step.fate is Fate.SENT
            bar.update(task, advance=step.count if isinstance(step, Read) else 0, sent=sent)
            yield step
        # Offsets without a letter, such as the marks of transactions, were counted and never read.
        bar.update(task, completed=run.total)


def _selection(
    *,
    error_class: str | None = None,
    stage: str | None = None,
    since_ms: int | None = None,
    ids: tuple[str, ...] = (),
) -> Selection:
    from consumers.letters import Selection  # noqa: PLC0415  needed by these commands only

    return Selection(error_class, stage, since_ms, frozenset(ids))
