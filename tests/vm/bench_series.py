# SPDX-License-Identifier: MIT
"""Series of boots for `make bench-vm`: one machine after the other, in turn, and what they took."""

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
QUIET = 0.10  # of a processor: more work of others than this disturbs


@dataclass
class Series:
    """One kind of machine, what makes its image, and what its boots took."""

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
    """How much of the processors others have used during the boots, in processors."""

    others: list[float] = field(default_factory=list)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note what others use in the meantime."""
        begin = time.monotonic(), _busy(), _used()
        yield
        seconds, busy, used = time.monotonic() - begin[0], _busy() - begin[1], _used() - begin[2]
        self.others.append(max(0.0, (busy - used) / seconds))

    def warning(self) -> str:
        """What to say of it to who reads the figures; empty when it was quiet."""
        most = max(self.others, default=0.0)
        if most <= QUIET:
            return ""
        return (
            f"WARNING: other work used up to {most:.1f} of this machine's {os.cpu_count()} "
            "processors meanwhile: the figures are provisional; repeat it on a quiet machine"
        )


def _busy() -> float:
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, interrupts, soft, *_ = map(int, words)
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def _used() -> float:
    """Of this process and of its children that have ended: the virtual machines."""
    used = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        used += usage.ru_utime + usage.ru_stime
    return used


def say(text: str) -> None:
    """Tell the progress, beside the table."""
    print(f"bench-vm: {text}", file=sys.stderr, flush=True)


def take(bench: Bench, series: list[Series], times: int, load: Load) -> None:
    """Boot each kind in turn, so often."""
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
            f"{one.boots[-1][RUNNER]:.2f} s (in all {time.monotonic() - began:.0f} s; others used "
            f"{load.others[-1]:.1f} processors)"
        )


def compare_with_neighbours(kept: Series, others: list[Series]) -> list[float]:
    """By how many seconds the others are later, of boots in turn: kept, an other, …, kept."""
    neighbours = [(before + after) / 2 for before, after in pairwise(kept.values(RUNNER))]
    typical = median(kept.values(RUNNER))
    effects = []
    for place, other in enumerate(others):
        pairs = zip(other.values(RUNNER), neighbours[place :: len(others)], strict=True)
        effects.append(typical * (median(time / around for time, around in pairs) - 1))
    return effects


def cell(values: list[float]) -> str:
    """A median with the least and the most, for a table."""
    if not values:
        return f"{'–':>28}"
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})".rjust(28)
