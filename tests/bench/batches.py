# SPDX-License-Identifier: MIT
"""The figures of `queued` and `register`: how much later than its calls allow a batch is done.

The path is the longest chain of calls of which each began after the answer to the one before, with
the times that AWS and GitHub are known for. What a batch takes beyond it is ours.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import answers
from .figures import MS, Bench, Figure, from_ssm
from .runs import BenchError, Call, Peer, Run

LATENCY = {"RunInstances": 1400, "generate-jitconfig": 300, "access_tokens": 200}
OTHER = 30  # SSM, SQS
FULL = 10  # jobs of a batch
AT_ONCE = 5  # processes, as the template allows
SIZES = {"1 job": 1, "10 jobs": FULL}
PROMISED = ("queued", "10 jobs", "cold")


@dataclass
class Kind:
    """One of the two handlers; a batch is done when so many calls of this name are answered."""

    handler: str
    record: Callable[[int], object]
    last: str
    last_of: Callable[[int], int]  # jobs


KINDS = (
    Kind("queued", answers.record, "SendMessageBatch", lambda _: 1),
    Kind("register", answers.launched, "PutParameter", lambda jobs: jobs),
)


def queued(bench: Bench) -> Iterator[Figure]:
    """Measure batches that are to be launched."""
    yield from measure(bench, KINDS[0])


def register(bench: Bench) -> Iterator[Figure]:
    """Measure batches of launched jobs."""
    yield from measure(bench, KINDS[1])


def measure(bench: Bench, kind: Kind) -> Iterator[Figure]:
    """Measure batches of each size, and a hundred jobs in several processes."""
    for size, jobs in SIZES.items():
        yield from of_size(bench, kind, size, jobs)
    yield from hundred(bench, kind)


def run_batches(peer: Peer, bench: Bench, kind: Kind, jobs: int, events: int) -> Run:
    """Run one process for so many batches."""
    folder = peer.answers(f"{kind.handler}-{jobs}")
    records = [kind.record(number) for number in range(jobs)]
    answers.write_scaler(folder, {"Records": records}, jobs)
    settings = from_ssm(kind.handler) | {"SCALE_AGENT_CONFIG": json.dumps(answers.CONFIG)}
    slow = ",".join(f"{name}={ms}" for name, ms in LATENCY.items())
    return peer.run([bench.scaler], folder, settings, events=events, latency_ms=OTHER, latency=slow)


def of_size(bench: Bench, kind: Kind, size: str, jobs: int) -> Iterator[Figure]:
    """Measure batches of one size: the first event of a process, and those after."""
    taken: dict[str, list[float]] = {"cold": [], "warm": []}
    over: dict[str, list[float]] = {"cold": [], "warm": []}
    said, peak = {}, []
    for _ in bench.runs(5):
        run = run_batches(bench.peer, bench, kind, jobs, 3)
        peak.append(run.peak_kib / 1024)
        for number, calls in enumerate(events_of(run)):
            state = "warm" if number else "cold"
            spent, path = time_and_path(kind, calls, jobs)
            taken[state].append(spent)
            over[state].append(spent / path)
            said[state] = f"{len(calls) - 2} calls, {path} ms of them one after the other"
    for state, values in taken.items():
        name = f"{kind.handler}, {size}, {state}"
        goal = 1.01 if (kind.handler, size, state) == PROMISED else None
        yield Figure(f"{name}: event to {kind.last}", "ms", values, said[state])
        yield Figure(f"{name}: the same over its path", "x", over[state], said[state], goal)
    yield Figure(f"{kind.handler}, {size}: peak memory (VmHWM)", "MiB", peak, size)


def hundred(bench: Bench, kind: Kind) -> Iterator[Figure]:
    """Measure a hundred jobs: so many processes at the same time, and two batches for each."""
    over = []

    def one(number: int) -> float:
        folder = bench.peer.folder / f"at-once-{number}"
        folder.mkdir(exist_ok=True)
        run = run_batches(Peer(bench.peer.program, folder), bench, kind, FULL, 2)
        each = [time_and_path(kind, calls, FULL) for calls in events_of(run)]
        return sum(spent for spent, _ in each) / sum(path for _, path in each)

    for _ in bench.runs(3):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            over.append(max(pool.map(one, range(AT_ONCE))))
    each = f"{AT_ONCE} new processes at once, 2 batches each; the slowest"
    yield Figure(f"{kind.handler}, 100 jobs: over their path", "x", over, each)


def events_of(run: Run) -> Iterator[list[Call]]:
    """Give the calls of each event: the poll that got it, those it led to, and the response."""
    for begin, end in zip(run.named("next"), run.named("response"), strict=False):
        yield [begin, *run.between(begin, end), end]


def time_and_path(kind: Kind, calls: list[Call], jobs: int) -> tuple[float, int]:
    """Return the milliseconds from an event until it is done, and those of its path."""
    begin = calls[0]
    last = [call for call in calls if call.name == kind.last]
    if len(last) != kind.last_of(jobs):
        made = Counter(call.name for call in calls)
        raise BenchError(f"{kind.handler}: {kind.last} {len(last)} times among {dict(made)}")
    until = max(call.answered for call in last)
    before = [call for call in calls[1:-1] if call.answered <= until]
    path: dict[int, int] = {}
    for call in before:
        causes = [path[other.received] for other in before if other.answered <= call.received]
        path[call.received] = LATENCY.get(call.name, OTHER) + max(causes, default=0)
    return (until - begin.answered) / MS, max(path.values())


def stages(bench: Bench) -> Iterator[Figure]:
    """Count the calls that each stage makes for a batch, when its process is warm."""
    for kind in KINDS:
        run = run_batches(bench.peer, bench, kind, FULL, 3)
        calls = list(events_of(run))[-1][1:-1]
        made = Counter(call.name for call in calls)
        text = ", ".join(f"{count} {name}" for name, count in sorted(made.items()))
        yield Figure(f"{kind.handler}: calls for {FULL} jobs", "", [float(len(calls))], text)
    folder = Path(bench.peer.answers("webhook"))
    answers.write_scaler(folder, answers.delivery())
    run = bench.peer.run([bench.scaler], folder, from_ssm("webhook"), events=3)
    calls = list(events_of(run))[-1][1:-1]
    text = ", ".join(sorted(call.name for call in calls))
    yield Figure("webhook: calls for a delivery", "", [float(len(calls))], text)
