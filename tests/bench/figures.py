# SPDX-License-Identifier: MIT
"""What a figure is; the figures of TLS and of the agent, with their conditions and targets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from tests.cloud.machines.runner_service import RunnerService

from . import answers
from .reference import Program
from .runs import Peer, Run

MS = 1000.0  # the peer counts microseconds
BATCH = 10
QUIET_MS = (5_000, 45_000)  # after its start, the time in which an agent is looked at


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
    agent: str = ""

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


# -- TLS --


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
    at_once, later, peak = [], [], []
    service = RunnerService(Path(bench.program("bin/starter")), bench.peer.folder)
    for _ in bench.runs(20):
        for latency, values in ((0, at_once), (50, later)):
            run = run_agent(bench, folder, service, latency)
            started = run.first("runner").received
            values.append((started - latency * MS * calls_before_runner(run)) / MS)
            peak.append(run.peak_kib / 1024)
    wakes, busy, busy_own = [], [], []
    for _ in bench.runs(2):
        late = run_agent(bench, folder, service, 0, settle_ms=QUIET_MS[1], quiet_ms=QUIET_MS[0])
        wakes.append(a_minute(late.waits))
        busy.append(late.present_kib / 1024)
        busy_own.append(late.own_kib / 1024)
    runs = f"{len(at_once)} runs"
    yield Figure("agent: fork to runner started", "ms", at_once, f"{runs}, no latency", 30)
    beyond = f"{runs}, 50 ms per call, {calls_before_runner(run)} calls deep"
    yield Figure("agent: the same, beyond its calls", "ms", later, beyond, 10)
    yield Figure("agent: peak memory at its start (VmHWM)", "MiB", peak, runs)
    counted = system_calls(bench, folder, service)
    if counted:
        yield Figure("agent: system calls until 0.3 s after that", "", [counted], "strace -f")
    stop(service)
    each = f"{len(busy)} runs of {QUIET_MS[1] / 1000:g} s"
    polls = f"{each}; 12 are for spot notices, and each answer that comes later is another"
    yield Figure("agent with a job: wake-ups a minute", "", wakes, polls, 12)
    yield Figure("agent with a job: memory (VmRSS)", "MiB", busy, each, 5)
    yield Figure("agent with a job: of it not backed by files", "MiB", busy_own, each, 2)
    yield from waiting(bench)
    idle = bench.peer.run([bench.agent, "--version"], folder)
    alone = [idle.peak_kib / 1024]
    yield Figure("agent: peak memory of --version", "MiB", alone, "its libraries alone")


def waiting(bench: Bench) -> Iterator[Figure]:
    """Measure the agent while it waits for its hand-over."""
    folder = bench.peer.answers("agent-waits")
    answers.write_agent(folder)
    for path in folder.glob("GetParameter.*"):
        path.unlink()
    config = bench.peer.folder / "agent.json"
    wakes, asked, present = [], [], []
    for _ in bench.runs(2):
        late = bench.peer.run(
            [bench.agent, "--config", str(config), "--no-shutdown"],
            folder,
            until="credentials",
            settle_ms=QUIET_MS[1],
            quiet_ms=QUIET_MS[0],
        )
        wakes.append(a_minute(late.waits))
        begin = late.first("credentials").received + QUIET_MS[0] * MS
        asked.append(a_minute(sum(call.received > begin for call in late.calls)))
        present.append(late.present_kib / 1024)
    each = f"{len(wakes)} runs of {QUIET_MS[1] / 1000:g} s"
    yield Figure("agent waiting: questions a minute", "", asked, f"{each}, from SSM")
    yield Figure("agent waiting: wake-ups a minute", "", wakes, each)
    yield Figure("agent waiting: memory (VmRSS)", "MiB", present, each, 5)


def a_minute(number: int) -> float:
    """Convert what was counted in the quiet time to a number a minute."""
    return number * 60_000 / (QUIET_MS[1] - QUIET_MS[0])


def system_calls(bench: Bench, folder: Path, service: RunnerService) -> float:
    """Count the system calls of one run; 0 where there is no strace."""
    strace = shutil.which("strace")
    if not strace:
        return 0
    output = bench.peer.folder / "strace"
    run_agent(bench, folder, service, 0, before=[strace, "-D", "-f", "-o", str(output)])
    return float(sum("resumed>" not in line for line in output.read_text().splitlines()))


def stop(service: RunnerService) -> None:
    """End the program that starts runners."""
    service.process.terminate()
    service.process.wait()
    service.forget()


def run_agent(
    bench: Bench,
    folder: Path,
    service: RunnerService,
    latency: int,
    settle_ms: int = 300,
    quiet_ms: int = 0,
    before: list[str] | None = None,
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
    agent = [bench.agent, "--config", str(config), "--no-shutdown"]
    return bench.peer.run(
        [*(before or []), *agent],
        folder,
        until="runner",
        signals=signals,
        settle_ms=settle_ms + 4 * latency,
        quiet_ms=quiet_ms,
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
