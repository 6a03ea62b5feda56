"""Numbers on the command line: finite, and within bounds that the refusal names."""

from __future__ import annotations

import math
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Number(click.ParamType[float]):
    """A number that is finite and at least ``low``, or ``above`` it, and at most ``high``."""

    low: float = 0
    high: float = math.inf
    above: bool = False
    whole: bool = False
    name = "number"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> float:
        """Read it; what is refused is named with what is allowed."""
        try:
            number = int(str(value)) if self.whole else float(str(value))
        except ValueError:
            number = math.nan
        fits = number > self.low if self.above else number >= self.low
        if not (math.isfinite(number) and fits and number <= self.high):
            self.fail(f"{str(value)!r} is refused; allowed: {self._allowed()}", param, context)
        return number

    def _allowed(self) -> str:
        kind = "whole number" if self.whole else "number"
        low = f"{kind}, {'above' if self.above else 'at least'} {self.low:,g}"
        return low if math.isinf(self.high) else f"{low}, at most {self.high:,g}"


@dataclass(frozen=True)
class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers of one kind, separated by commas."""

    each: Number
    name = "numbers"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[float, ...]:
        """Read them; the first that is refused is named."""
        return tuple(self.each.convert(part.strip(), param, context) for part in str(value).split(","))


FPS = Number(above=True, high=240)
NUM_FRAMES = Number(low=1, high=4096, whole=True)
TIMES = Numbers(Number())
EVERY = Number(above=True, high=86_400)
START = Number()
END = Number(above=True)
