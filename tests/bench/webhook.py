# SPDX-License-Identifier: MIT
"""The figures of `webhook`, beside the references: starts, warm deliveries, memory, the zip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from . import answers
from .figures import MS, Bench, Figure, from_ssm
from .reference import Program
from .runs import BenchError, Run

WARM_UP = 100  # deliveries that are not counted
GROWTH = (1, 1_000, 10_000)  # deliveries after which memory is read
SIZES = {"11 KB": 0, "200 KB": 1000}
"""Deliveries by their size: how many steps the job has, each of about 190 bytes."""


def programs(bench: Bench) -> list[Program]:
    """Return ours and the references."""
    return [Program("webhook", [bench.scaler]), *bench.references]


@dataclass(frozen=True)
class Trust:
    """The peer's certificate, and the authorities in each form."""

    server: Path
    forms: dict[str, Path]

    def settings(self, program: Program) -> dict[str, str]:
        """Return the setting with which a program trusts the peer."""
        variable, form = program.trust
        return {variable: str(self.forms[form])}


def trust(bench: Bench) -> Trust:
    """Make the peer's certificate and what trusts it."""
    return Trust(*answers.write_trust_forms(bench.peer.answers("trust")))


def start(bench: Bench, program: Program, settings: dict[str, str], **options: int | Path) -> Run:
    """Run a program for one delivery."""
    environment = from_ssm("webhook") | settings | program.environment
    folder = bench.peer.answers("webhook")
    return bench.peer.run(program.command, folder, environment, program.folder, events=1, **options)


def ratios(name: str, of: str, over: list[float], under: list[float], goal: float) -> Figure:
    """Compare two programs pair by pair; at most, or for a goal above 1.5 at least, GOAL times."""
    values = [one / other for one, other in zip(over, under, strict=True)]
    return Figure(name, "x", values, f"{of}, {len(values)} pairs", goal, at_least=goal > 1.5)  # noqa: PLR2004


def in_turn(all_of_them: list[Program], turn: int) -> list[Program]:
    """Begin with another one each time, so that none always follows the same."""
    first = turn % len(all_of_them)
    return all_of_them[first:] + all_of_them[:first]


def starting(bench: Bench) -> Iterator[Figure]:
    """Measure starts, one program after the other, again and again."""
    answers.write_scaler(bench.peer.answers("webhook"), answers.delivery())
    trusted = trust(bench)
    polls: dict[str, list[float]] = {}
    replies: dict[str, list[float]] = {}
    spent: dict[str, list[float]] = {}  # of the processor, which a busy machine changes less
    nothing: list[float] = []
    for turn in [-1, *bench.runs(20)]:  # the first one reads programs from the disk: not counted
        ended = bench.peer.run(["/bin/true"], bench.peer.answers("webhook")).exited
        if ended is None:
            raise BenchError("/bin/true did not end")
        nothing.append(ended / MS)
        for program in in_turn(programs(bench), turn):
            run = start(bench, program, {})
            polls.setdefault(program.name, []).append(run.first("next").received / MS)
            until = f"{program.name}: processor time to first poll"
            spent.setdefault(until, []).append(run.first("next").cpu / MS)
            if program.answers_all:
                run = start(bench, program, trusted.settings(program), tls=trusted.server)
                replies.setdefault(program.name, []).append(run.first("response").received / MS)
                until = f"{program.name}: processor time to response, over TLS"
                spent.setdefault(until, []).append(run.first("response").cpu / MS)
        if turn < 0:
            nothing, polls, replies, spent = [], {}, {}, {}
    each = f"{len(nothing)} runs in turn"
    yield Figure("/bin/true: fork to exit", "ms", nothing, each)
    for name, values in polls.items():
        yield Figure(f"{name}: fork to first poll", "ms", values, each)
    for name, values in replies.items():
        goal = 7 if name == "webhook" else None
        yield Figure(f"{name}: fork to response, over TLS", "ms", values, f"{each}, SSM, SQS", goal)
    for name, values in spent.items():
        yield Figure(name, "ms", values, each)
    goals = {"floor": 1.2, "Rust": 5, "Node": 70}
    ours = polls["webhook"]
    for name, goal in goals.items():
        if name not in polls:
            continue
        if name == "floor":
            yield ratios(
                "webhook's first poll over the floor's", "at most", ours, polls[name], goal
            )
        else:
            yield ratios(f"{name}'s first poll over webhook's", "at least", polls[name], ours, goal)


def warm(bench: Bench) -> Iterator[Figure]:
    """Measure one process over many deliveries, small and large."""
    goals = {"11 KB": 0.2, "200 KB": 1.5}
    for size, steps in SIZES.items():
        answers.write_scaler(bench.peer.answers("webhook"), answers.delivery(steps))
        for program in programs(bench):
            if not program.answers_all:
                continue
            goal = goals[size] if program.name == "webhook" else None
            yield from warm_one(bench, program, size, goal)


def warm_one(bench: Bench, program: Program, size: str, goal: float | None) -> Iterator[Figure]:
    """Measure the warm deliveries of one size by one program."""
    normally = 2000 if size == "11 KB" else 400
    events = len(bench.runs(normally)) + WARM_UP
    cpu, middle, slow = [], [], []
    for _ in bench.runs(5):
        run = bench.peer.run(
            program.command, bench.peer.answers("webhook"),
            from_ssm("webhook") | program.environment, program.folder, events=events,
        )  # fmt: skip
        polls = run.named("next")[WARM_UP:]
        ended = run.named("response")[WARM_UP:]
        latency = quantiles(
            (end.received - poll.answered for poll, end in zip(polls, ended, strict=False)), n=100
        )
        cpu.append((polls[-1].cpu - polls[0].cpu) / MS / (len(polls) - 1))
        middle.append(latency[49] / MS)
        slow.append(latency[98] / MS)
    each = f"{len(cpu)} processes of {events - WARM_UP} signed deliveries"
    name = f"{program.name}, warm, {size}"
    yield Figure(f"{name}: processor time", "ms", cpu, each, goal)
    yield Figure(f"{name}: p50 to response", "ms", middle, each)
    yield Figure(f"{name}: p99 to response", "ms", slow, each)


def memory(bench: Bench) -> Iterator[Figure]:
    """Measure how much memory a process has after more and more deliveries."""
    answers.write_scaler(bench.peer.answers("webhook"), answers.delivery())
    trusted = trust(bench)
    ours = Program("webhook", [bench.scaler])
    present: dict[int, list[float]] = {}
    peak = []
    for _ in bench.runs(3):
        for events in GROWTH:
            settings = from_ssm("webhook") | trusted.settings(ours)
            run = bench.peer.run(
                ours.command, bench.peer.answers("webhook"), settings,
                events=events, tls=trusted.server,
            )  # fmt: skip
            present.setdefault(events, []).append(run.present_kib / 1024)
        peak.append(run.peak_kib / 1024)
    each = f"{len(peak)} processes, TLS"
    for events, values in present.items():
        yield Figure(f"webhook: memory after {events:,} deliveries", "MiB", values, each)
    yield Figure("webhook: peak memory (VmHWM)", "MiB", peak, each, 5)
    grown = [after - before for before, after in zip(present[1_000], present[10_000], strict=True)]
    yield Figure("webhook: growth from 1,000 to 10,000", "MiB", grown, each, 0.1)


def zipped(bench: Bench) -> Iterator[Figure]:
    """Measure what is uploaded."""
    for path in sorted(bench.build.glob("scaler-*.zip")):
        yield Figure(path.name, "MB", [path.stat().st_size / 1e6], "program, authorities", 1.4)
