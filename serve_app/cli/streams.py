"""``capstream submit`` and ``capstream tail``: the two ends of the pipeline, from a shell."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from serve_app.cli.context import settings_of, url_of
from serve_app.cli.numbers import END, FPS, NUM_FRAMES, START
from serve_app.errors import RequestInvalidError
from serve_app.settings import Settings

FILE_ROOTS = "CAPSTREAM_FILE_ROOTS"


@click.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL…|-")
@click.option("--key", help="Key of the records; requests with equal keys share a partition.")
@click.option("--task", help="Prompt task.")
@click.option("--prompt", help="Replaces the task's own prompt.")
@click.option("--fps", type=FPS, help="Sample so many frames per second of video.")
@click.option("--num-frames", type=NUM_FRAMES, help="Sample so many frames in all.")
@click.option("--start", "start_s", type=START, help="First second of video.")
@click.option("--end", "end_s", type=END, help="Second of video to stop before.")
@click.pass_obj
def submit(
    config_path: Path | None, /, urls: tuple[str, ...], key: str | None, **asked: str | float | None
) -> None:
    """Send requests to the input topic and print the id of each as the broker takes it.

    A URL may be the path of a local file, if the application may read its folder. With ``-`` every line of
    standard input is one record: a URL, a JSON object or a list of chat messages.
    """
    from consumers.producer import Submission, submit_all  # noqa: PLC0415  Kafka is needed by few commands

    lines = [line for url in urls for line in (_stdin() if url == "-" else [url])]
    values, ids = zip(*(_value(line, asked) for line in lines), strict=True) if lines else ((), ())
    submission = Submission(values, key.encode() if key is not None else None)
    settings = settings_of(config_path)
    _warn_of_refused(lines, settings)
    for index, place in submit_all(settings, submission):
        click.echo(ids[index] or place)


def _warn_of_refused(lines: list[str], settings: Settings) -> None:
    from serve_app.sources.roots import is_below  # noqa: PLC0415  needed here only

    roots = settings.sources.file_roots
    files = [Path(line).resolve() for line in lines if url_of(line) != line]
    outside = dict.fromkeys(file.parent for file in files if not is_below(file, roots))
    if outside:
        # Only a warning: the application may run elsewhere, or with other settings than are found here.
        given, needed = (os.pathsep.join(map(str, paths)) for paths in (outside, (*roots, *outside)))
        told = f"no files may be read in {given}: start the application with"
        click.echo(
            f"capstream: {told} {FILE_ROOTS}={shlex.quote(needed)}, and set it for this command, too",
            err=True,
        )


def _stdin() -> Iterator[str]:
    return (line.strip() for line in sys.stdin if line.strip())


def _value(line: str, asked: dict[str, str | float | None]) -> tuple[bytes, str | None]:
    """The record's value, and the id that it gives itself."""
    from serve_app.schema.values import parse  # noqa: PLC0415  the schema is needed by few commands

    text = url_of(line)
    fps, num_frames = asked.get("fps"), asked.get("num_frames")
    if fps is not None and num_frames is not None:
        raise click.UsageError("give one of --fps and --num-frames")
    fields = {name: value for name, value in asked.items() if value is not None and name not in SAMPLING}
    if fps is not None or num_frames is not None:
        fields["sampling"] = {"fps": fps} if fps is not None else {"num_frames": num_frames}  # type: ignore[assignment]
    if fields and text.startswith(("{", "[", '"')):
        raise click.UsageError(f"options go with URLs; a JSON value says everything itself: {line[:80]!r}")
    try:
        value = (json.dumps({"url": text, **fields}) if fields else text).encode()
        own_id = parse(value).id
    except UnicodeEncodeError as error:
        raise click.UsageError("a line of the input is not UTF-8 text, so no request") from error
    except RequestInvalidError as error:
        raise click.UsageError(f"{line[:80]!r} is no request: {error}") from error
    return value, own_id


SAMPLING = ("fps", "num_frames")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The records as they are, one JSON object a line.")
@click.option("--from-beginning", is_flag=True, help="All captions that the topic holds, then the new ones.")
@click.option("--dead-letters", is_flag=True, help="Dead letters instead of captions.")
@click.option("--count", type=click.IntRange(min=1), help="End after so many.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), help="End after so many seconds.")
@click.pass_obj
def tail(
    config_path: Path | None,
    /,
    *,
    as_json: bool,
    from_beginning: bool,
    dead_letters: bool,
    **until: float | None,
) -> None:
    """Show captions as they come. With --count, exit code 1 says that the time ended before the count."""
    from consumers.reader import Until, records_of  # noqa: PLC0415  Kafka is needed by few commands
    from consumers.report import line_of  # noqa: PLC0415

    settings = settings_of(config_path)
    topic = settings.topics.dead_letters if dead_letters else settings.topics.captions
    count = int(until["count"]) if until["count"] is not None else None
    found = 0
    limits = Until(count, until["timeout_s"])
    for record in records_of(settings, [topic], from_beginning=from_beginning, until=limits):
        click.echo(line_of(record, as_json=as_json))
        sys.stdout.flush()
        found += 1
    if count is not None and found < count:
        click.echo(f"capstream: {found} of {count} came within {until['timeout_s']:g} s", err=True)
        sys.exit(1)
