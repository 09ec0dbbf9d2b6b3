# SPDX-License-Identifier: MIT
"""A drought: 50 jobs, and only the last type of the ladder has capacity.

The figures are the simulation's, in virtual time (tests/sim/drought.c). How long a call takes, and
that a fleet tries three pools, a third party measured; AWS promises neither.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from .figures import Bench, Figure
from .runs import BenchError

ROW = re.compile(r"(.*?) +([0-9]+) s +([0-9]+) calls +50 machines")
CONDITIONS = "50 jobs, simulated; RunInstances 1.4 s, CreateFleet 1.9 s (measured by others)"


def drought(bench: Bench) -> Iterator[Figure]:
    """Simulate the ladder, a fleet that tries all pools, and one that tries three."""
    done = subprocess.run(
        [bench.program("bin/sim"), "--drought"], capture_output=True, text=True, check=False
    )
    found = [ROW.fullmatch(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not found or not all(found):
        raise BenchError(f"the simulation of a drought failed: {done.stdout}{done.stderr}")
    for row in filter(None, found):
        yield Figure(f"drought, {row[1]}: last machine", "s", [float(row[2])], CONDITIONS)
        yield Figure(f"drought, {row[1]}: launch calls", "", [float(row[3])], CONDITIONS)
