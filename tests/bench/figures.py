# SPDX-License-Identifier: MIT
"""The figures of queued and of the agent: how each is measured, its conditions, and its target."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from tests.cloud.machines.runner_service import RunnerService

from . import answers
from .reference import Program
from .runs import BenchError, Call, Peer, Run

MS = 1000.0  # the peer counts microseconds
BATCH = 10


@dataclass
class Figure:
    """One measured quantity; its median should be at most, or at least, `target`."""

    name: str
    unit: str
    values: list[float]
    conditions: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        middle = median(self.values)
        return middle >= self.target if self.at_least else middle <= self.target


@dataclass
class Bench:
    """What all measurements share; `effort` multiplies the number of runs."""

    peer: Peer
    build: Path
    scaler: str
    effort: float = 1.0
    references: list[Program] = field(default_factory=list)

    def runs(self, normally: int) -> range:
        """Scale a number of runs by the effort."""
        return range(max(2, round(normally * self.effort)))

    def program(self, name: str) -> str:
        """Return the absolute path of one of the programs."""
        return str((self.build / name).resolve())


def from_ssm(handler: str) -> dict[str, str]:
    """Settings as the stack deploys them."""
    return answers.environment(
        handler,
        SCALE_AGENT_CONFIG="ssm:/scale-agent/config",
        GITHUB_WEBHOOK_SECRET="ssm:/scale-agent/github/webhook-secret",
        GITHUB_PRIVATE_KEY="ssm:/scale-agent/github/private-key",
    )


# -- queued, register --


def queued(bench: Bench) -> Iterator[Figure]:
    """Measure batches of ten jobs, where each call to AWS and GitHub takes 100 ms."""
    yield from batches(bench, "queued", answers.record, "SendMessageBatch", 1)


def register(bench: Bench) -> Iterator[Figure]:
    """Measure batches of ten launched jobs in the same way."""
    yield from batches(bench, "register", answers.launched, "PutParameter", BATCH)


def batches(
    bench: Bench, handler: str, record: Callable[[int], object], last: str, times: int
) -> Iterator[Figure]:
    """Measure the time until the last of so many calls is answered."""
    folder = bench.peer.answers(handler)
    event = {"Records": [record(number) for number in range(BATCH)]}
    answers.write_scaler(folder, event, BATCH)
    settings = from_ssm(handler) | {"SCALE_AGENT_CONFIG": json.dumps(answers.CONFIG)}
    cold, again, peak, kinds = [], [], [], {}
    for _ in bench.runs(10):
        run = bench.peer.run([bench.scaler], folder, settings, events=4, latency_ms=100)
        taken = [done_after(run, begin, end, last, times) for begin, end in events_of(run)]
        cold.append(taken[0] / MS)
        again += [one / MS for one in taken[1:]]
        peak.append(run.peak_kib / 1024)
        kinds = count_calls(run)
    each = f"{BATCH} jobs, 100 ms per call"
    what = f"{handler}: event to {times} {last}"
    yield Figure(f"{what}, cold", "ms", cold, f"{each}, {kinds['cold']}", 450)
    yield Figure(f"{what}, warm", "ms", again, f"{each}, {kinds['warm']}", 450)
    yield Figure(f"{handler}: peak memory (VmHWM)", "MiB", peak, each)


def events_of(run: Run) -> Iterator[tuple[Call, Call]]:
    """Pair the poll that got an event with the response to it."""
    return zip(run.named("next"), run.named("response"), strict=False)


def done_after(run: Run, begin: Call, end: Call, name: str, times: int) -> int:
    """Return the time from an event until the last of its calls of this name is answered."""
    made = [call for call in run.between(begin, end) if call.name == name]
    if len(made) != times:
        raise BenchError(f"{name} was called {len(made)} times, not {times}")
    return max(call.answered for call in made) - begin.answered


def count_calls(run: Run) -> dict[str, str]:
    """Count the calls of the first event and of the last."""
    counts = [
        Counter(call.name for call in run.between(begin, end)) for begin, end in events_of(run)
    ]
    return {
        "cold": f"{sum(counts[0].values())} calls",
        "warm": f"{sum(counts[-1].values())} calls",
    }


def tls(bench: Bench) -> Iterator[Figure]:
    """Measure the same over TLS: the cost of certificates and of new connections."""
    folder = bench.peer.answers("register")
    event = {"Records": [answers.launched(number) for number in range(BATCH)]}
    answers.write_scaler(folder, event, BATCH)
    server, trusted, count = answers.write_trust(bench.peer.answers("trust"))
    settings = from_ssm("register") | {
        "SCALE_AGENT_CONFIG": json.dumps(answers.CONFIG),
        "SSL_CERT_FILE": str(trusted),
    }
    cold, again, peak = [], [], []
    for _ in bench.runs(10):
        run = bench.peer.run([bench.scaler], folder, settings, events=4, tls=server)
        polls = run.named("next")
        taken = [(after.cpu - before.cpu) / MS for before, after in pairwise(polls)]
        cold.append(taken[0])
        again += taken[1:]
        peak.append(run.peak_kib / 1024)
    each = f"{BATCH} jobs, TLS, {count} trusted CAs"
    yield Figure("register, TLS: processor time of a batch, cold", "ms", cold, each)
    yield Figure("register, TLS: processor time of a batch, warm", "ms", again, each)
    yield Figure("register, TLS: peak memory (VmHWM)", "MiB", peak, each)


# -- agent --


def agent(bench: Bench) -> Iterator[Figure]:
    """Measure the agent until its runner runs, and its memory while the runner runs."""
    folder = bench.peer.answers("agent")
    answers.write_agent(folder)
    at_once, later, peak, present, own = [], [], [], [], []
    service = RunnerService(Path(bench.program("bin/starter")), bench.peer.folder)
    for _ in bench.runs(20):
        for latency, values in ((0, at_once), (50, later)):
            run = run_agent(bench, folder, service, latency)
            started = run.first("runner").received
            values.append((started - latency * MS * calls_before_runner(run)) / MS)
            peak.append(run.peak_kib / 1024)
    for _ in bench.runs(5):
        run = run_agent(bench, folder, service, 0, settle_ms=2500)
        present.append(run.present_kib / 1024)
        own.append(run.own_kib / 1024)
    service.process.terminate()
    service.process.wait()
    service.forget()
    runs = f"{len(at_once)} runs"
    settled = f"{len(present)} runs, 2.5 s after the runner's start"
    yield Figure("agent: fork to runner started", "ms", at_once, f"{runs}, no latency", 30)
    beyond = f"{runs}, 50 ms per call, {calls_before_runner(run)} calls deep"
    yield Figure("agent: the same, beyond its calls", "ms", later, beyond, 30)
    yield Figure("agent: memory while the runner runs (VmRSS)", "MiB", present, settled)
    yield Figure("agent: of it not backed by files (RssAnon)", "MiB", own, settled, 2)
    yield Figure("agent: peak memory at its start (VmHWM)", "MiB", peak, runs)
    idle = bench.peer.run([bench.program("bin/runner-agent"), "--version"], folder)
    alone = [idle.peak_kib / 1024]
    yield Figure("agent: peak memory of --version", "MiB", alone, "its shared libraries alone")


def run_agent(
    bench: Bench, folder: Path, service: RunnerService, latency: int, settle_ms: int = 300
) -> Run:
    """Run one agent until its runner has a job and the agent has reported it."""
    signals = bench.peer.folder / "signals"
    config = bench.peer.folder / "agent.json"
    runner = {
        "command": [bench.program("bench/runner"), str(signals)],
        "directory": str(bench.peer.folder),
        "socket": str(service.path),
    }
    config.write_text(json.dumps({"runner": runner}))
    return bench.peer.run(
        [bench.program("bin/runner-agent"), "--config", str(config), "--no-shutdown"],
        folder,
        until="runner",
        signals=signals,
        settle_ms=settle_ms + 4 * latency,
        latency_ms=latency,
    )


def calls_before_runner(run: Run) -> int:
    """Return the longest chain of calls that each began after the answer to the one before."""
    started = run.first("runner").received
    depth: dict[int, int] = {}
    before = [call for call in run.calls if 0 < call.answered < started]
    for call in before:
        causes = [depth[o.received] for o in before if 0 < o.answered <= call.received]
        depth[call.received] = 1 + max(causes, default=0)
    return max(depth.values())
