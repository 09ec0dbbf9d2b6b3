# SPDX-License-Identifier: MIT
"""How the demo looks: lines, the closing table, and colours where someone sees them."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterable
from typing import TextIO

from ..tally import Tally
from .story import Life, Line

COLOURS = {"good": "32", "trouble": "33", "bad": "31", "faint": "2", "strong": "1"}
STAGE_COLOURS = {"queued": "36", "launched": "34", "job started": "35", "machine off": "2"}
DASH = "-"


class Painter:
    """Writes to a stream; in colours on a terminal, unless NO_COLOR says otherwise."""

    def __init__(self, stream: TextIO = sys.stdout, width: int = 0) -> None:
        self.stream = stream
        self.width = width
        dumb = os.environ.get("TERM", "dumb") == "dumb"
        self.colours = stream.isatty() and not os.environ.get("NO_COLOR") and not dumb

    def say(self, text: str = "", mood: str = "") -> None:
        """Write one line."""
        print(self.paint(text, COLOURS.get(mood, "")), file=self.stream, flush=True)

    def paint(self, text: str, code: str) -> str:
        """Put text into a colour."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours and code and text else text

    def line(self, line: Line, seconds: float) -> None:
        """Write one stage of a job's life."""
        name = line.job.name if line.job else DASH
        code = COLOURS.get(line.mood) or STAGE_COLOURS.get(line.stage, "")
        stage = self.paint(f"{line.stage:<13}", code)
        time = self.paint(f"{seconds:7.2f} s", COLOURS["faint"])
        print(f"{time}  {name:<{self.width}}  {stage}  {line.text}", file=self.stream, flush=True)

    def table(self, lives: Iterable[Life]) -> None:
        """Write the outcome of each job, and the medians."""
        rows = [_row(life) for life in lives]
        times = [[row[at] for row in rows if row[at] is not None] for at in (4, 5, 6)]
        medians = [statistics.median(column) if column else None for column in times]
        head = ("job", "instance", "type", "market", "to start", "run", "to machine off")
        cells = [[_cell(cell) for cell in row] for row in rows]
        cells.append(["median", "", "", "", *(_cell(median) for median in medians)])
        widths = [max(len(row[at]) for row in [head, *cells]) for at in range(len(head))]
        self.say(_align(head, widths), "strong")
        for row in cells[:-1]:
            self.say(_align(row, widths))
        if len(rows) > 1:
            self.say(_align(cells[-1], widths), "strong")

    def calls(self, jobs: int, tally: Tally) -> None:
        """Write how many calls a job costs, by stage."""
        each = "" if jobs == 1 else " per job"
        self.say(
            f"Calls{each}: AWS {tally.aws / jobs:.1f}, GitHub {tally.github / jobs:.1f}", "strong"
        )
        for stage, names in tally.stages.items():
            parts = ", ".join(f"{name} {number / jobs:.1f}" for name, number in names.items())
            self.say(f"  {stage:<12}{sum(names.values()) / jobs:4.1f}  {parts}")
        self.say(
            f"Beside them: when functions start, AWS {tally.starts / jobs:.1f}, "
            f"GitHub {tally.github_starts / jobs:.1f}; Lambda's polls {tally.polls / jobs:.1f}"
        )


def _row(life: Life) -> list[str | float | None]:
    job = life.job
    started = job.started - life.sent if job.started else None
    ran = job.completed - job.started if job.completed and job.started else None
    total = life.off - life.sent if life.off else None
    names = (job.name, life.instance or DASH, life.type or DASH, life.market or DASH)
    return [*names, started, ran, total]


def _cell(value: str | float | None) -> str:
    if value is None:
        return DASH
    return value if isinstance(value, str) else f"{value:.2f} s"


def _align(cells: Iterable[str], widths: list[int]) -> str:
    """Names to the left, times to the right."""
    aligned = [
        f"{cell:>{width}}" if at >= 4 else f"{cell:<{width}}"
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()
