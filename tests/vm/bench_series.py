# SPDX-License-Identifier: MIT
"""Series of boots for `make bench-vm`: one machine at a time, each kind in turn, and the times."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from .bench_machine import Bench, Boot

RUNNER = "kernel → runner started"
QUIET = 0.10  # of a processor: other work beyond this disturbs


@dataclass
class Series:
    """One kind of machine: what makes its image, and the times of its boots."""

    name: str
    make: Callable[[], Path]
    read: Callable[[Boot], dict[str, float]]
    user_data: str = ""
    boots: list[dict[str, float]] = field(default_factory=list)

    def values(self, row: str) -> list[float]:
        """The times of one row."""
        return [boot[row] for boot in self.boots if row in boot]


@dataclass
class Load:
    """How many processors other work has used during the boots."""

    others: list[float] = field(default_factory=list)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note what other work uses meanwhile."""
        begin = time.monotonic(), _busy(), _used()
        yield
        seconds, busy, used = time.monotonic() - begin[0], _busy() - begin[1], _used() - begin[2]
        self.others.append(max(0.0, (busy - used) / seconds))

    def warning(self) -> str:
        """Return a warning for the reader of the figures; empty when it was quiet."""
        most = max(self.others, default=0.0)
        if most <= QUIET:
            return ""
        return (
            f"WARNING: other work used up to {most:.1f} of this machine's {os.cpu_count()} "
            "processors meanwhile; do not rely on these figures, repeat it on a quiet machine"
        )


def _busy() -> float:
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, interrupts, soft, *_ = map(int, words)
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def _used() -> float:
    """Processor time of this process and of its ended children: the virtual machines."""
    used = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        used += usage.ru_utime + usage.ru_stime
    return used


def say(text: str) -> None:
    """Print progress, apart from the table."""
    print(f"bench-vm: {text}", file=sys.stderr, flush=True)


def take(bench: Bench, series: list[Series], times: int, load: Load) -> None:
    """Boot each kind in turn, this many times."""
    total = len(series) * times
    for number in range(total):
        one = series[number % len(series)]
        image = one.make()
        began = time.monotonic()
        with load.watch():
            boot = bench.boot(image, one.user_data)
        one.boots.append(one.read(boot))
        say(
            f"{number + 1} of {total}: {one.name}: runner started after "
            f"{one.boots[-1][RUNNER]:.2f} s (took {time.monotonic() - began:.0f} s in all; other "
            f"work used {load.others[-1]:.1f} processors)"
        )


def compare_with_neighbours(kept: Series, others: list[Series]) -> list[float]:
    """By how many seconds the others are later; the boots were kept, other, kept, …, kept."""
    neighbours = [(before + after) / 2 for before, after in pairwise(kept.values(RUNNER))]
    typical = median(kept.values(RUNNER))
    effects = []
    for place, other in enumerate(others):
        pairs = zip(other.values(RUNNER), neighbours[place :: len(others)], strict=True)
        effects.append(typical * (median(time / around for time, around in pairs) - 1))
    return effects


def cell(values: list[float]) -> str:
    """A median with least and most, for a table."""
    if not values:
        return f"{'–':>28}"
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})".rjust(28)
