# SPDX-License-Identifier: MIT
"""The times of a boot, read from the machine's answer: all are seconds of its own clock.

CLOCK_MONOTONIC begins when the kernel does. A program starts when the kernel has executed it (trace
event sched_process_exec); a line of the journal has the time at which it was sent. The agent's
calls are timed at its system calls: everything beyond them, the emulated network and the other
side, is the latency of a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from .bench_machine import BenchError, Boot

AGENT = "/usr/bin/runner-agent"
RUNNER = "/bin/Runner.Listener"  # by a relative path on a stock machine
STARTER = "/usr/lib/runner-agent/starter"
HAND_OVER = "hand-over received"
TLS = 443
TASK = re.compile(r"^\s*(\S+)-(\d+) +\[\d+\] +\S+ +([\d.]+): (.*)$")
ENTER = re.compile(r"sys_(\w+)\(fd: (\w+)")
EXIT = re.compile(r"sys_recvfrom -> 0x(\w+)")
SIZE_MAX = 1 << 31  # a larger result is an error


@dataclass
class Event:
    """One of the agent's connections was begun, or sent or received bytes."""

    at: float
    kind: str


@dataclass
class Connection:
    """A TCP connection of the agent to a port."""

    port: int
    events: list[Event] = field(default_factory=list)


@dataclass
class Told:
    """A machine's answer, parsed."""

    lines: dict[str, list[str]]
    execs: list[tuple[float, str]] = field(default_factory=list)
    routes: list[float] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    journal: list[tuple[float, str]] = field(default_factory=list)

    def exec(self, name: str) -> float:
        """Return when a program was first executed."""
        found = [at for at, file in self.execs if file.endswith(name)]
        if not found:
            raise BenchError(f"the machine has not executed {name}, or its trace was cut off")
        return found[0]

    def line(self, text: str) -> float:
        """Return when the first line that contains this was sent to the journal."""
        found = [at for at, line in self.journal if text in line]
        if not found:
            raise BenchError(f'the journal has no line "{text}"')
        return found[0]

    def noted(self, name: str) -> float:
        """Return a time that a program noted itself."""
        if name not in self.lines:
            raise BenchError(f'the machine has not noted the time "{name}"')
        return float(self.lines[name][0])


def take_apart(text: str) -> Told:
    """Parse the machine's answer to the questions."""
    notes, _, rest = text.partition("== trace\n")
    trace, _, journal = rest.partition("== journal\n")
    lines: dict[str, list[str]] = {}
    for line in notes.splitlines():
        name, *words = line.split(" ")
        lines.setdefault(name, words)
    told = Told(lines)
    calls = Calls(told)
    for found in filter(None, map(TASK.match, trace.splitlines())):
        task, thread, at, event = found[1], int(found[2]), float(found[3]), found[4]
        name, _, words = event.partition(": ")
        if name == "sched_process_exec":
            told.execs.append((at, dict(_pairs(words))["filename"]))
            if told.execs[-1][1] == AGENT:
                calls.main = thread
        elif name == "route":
            told.routes.append(at)
        elif task == "runner-agent":
            calls.see(thread, at, event)
    told.journal = [_line(json.loads(line)) for line in journal.splitlines() if line[:1] == "{"]
    return told


def _pairs(words: str) -> Iterator[tuple[str, str]]:
    for word in words.split():
        name, _, value = word.partition("=")
        yield name, value


class Calls:
    """Follows the agent's system calls by descriptor."""

    def __init__(self, told: Told) -> None:
        self._all = told.connections
        self._open: dict[int, Connection] = {}
        self.main = 0  # thread
        self._look_up = 0.0  # when looking up the next connection's name began
        self._last: dict[int, tuple[float, int]] = {}  # each thread's last call: time, descriptor

    def see(self, thread: int, at: float, event: str) -> None:
        """Take the next event of one of the agent's threads."""
        if event.startswith("task_newtask"):
            self._look_up = at  # libcurl's thread, the only one beside the agent's own
        elif thread != self.main:
            return
        elif "newstate=TCP_SYN_SENT" in event and thread in self._last:
            begun, descriptor = self._last[thread]
            port = int(dict(_pairs(event))["dport"])
            if port == TLS:  # the metadata service has no name to look up
                begun = self._look_up or begun
                self._look_up = 0.0
            self._open[descriptor] = Connection(port, [Event(begun, "begun")])
            self._all.append(self._open[descriptor])
        elif found := ENTER.match(event):
            self._last[thread] = (at, int(found[2], 16))
            if found[1] == "sendto":
                self._note(thread, Event(at, "sent"))
        elif (found := EXIT.match(event)) and 0 < int(found[1], 16) < SIZE_MAX:
            self._note(thread, Event(at, "received"))

    def _note(self, thread: int, event: Event) -> None:
        _, descriptor = self._last.get(thread, (0.0, -1))
        if connection := self._open.get(descriptor):
            connection.events.append(event)


def _line(entry: dict[str, str]) -> tuple[float, str]:
    received = int(entry["__REALTIME_TIMESTAMP"])
    sent = int(entry.get("_SOURCE_REALTIME_TIMESTAMP", received))
    message = entry.get("MESSAGE", "")
    at = (int(entry["__MONOTONIC_TIMESTAMP"]) - (received - sent)) / 1e6
    return at, message if isinstance(message, str) else ""


@dataclass
class Waits:
    """How long calls were under way, and how much of that was spent waiting for an answer."""

    under_way: float
    waited: float
    first: float
    last: float


def waits(told: Told, end: float) -> Waits:
    """Measure the calls that lead to the hand-over."""
    calls: list[tuple[float, float]] = []
    answers: list[tuple[float, float]] = []
    for connection in told.connections:
        events = [event for event in connection.events if event.at <= end]
        if len(events) > 1:
            calls += _calls(connection.port, events)
            answers += _answers(events)
    if not calls:
        raise BenchError("no call was seen: neither connected, nor sent, nor received")
    first, last = min(call[0] for call in calls), max(call[1] for call in calls)
    return Waits(_union(calls), _union(answers), first, last)


def _calls(port: int, events: list[Event]) -> list[tuple[float, float]]:
    """Return begin and end of each call; with TLS, the whole connection so far is one call."""
    if port == TLS:
        return [(events[0].at, events[-1].at)]
    found = []
    begin = events[0].at
    for before, event in pairwise(events):
        if event.kind == "sent" and before.kind == "received":
            found.append((begin, before.at))
            begin = event.at
    return [*found, (begin, events[-1].at)]


def _answers(events: list[Event]) -> list[tuple[float, float]]:
    """Return the times from the last part of a question to each part of its answer."""
    return [(a.at, b.at) for a, b in pairwise(events) if b.kind == "received"]


def _union(intervals: list[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def stock_times(boot: Boot) -> dict[str, float]:
    """Return the times of a stock machine."""
    told = take_apart(boot.text)
    runner = told.exec(RUNNER)
    return {
        "kernel → agent or script started": told.noted("script"),
        "kernel → parameter read": told.noted("parameter"),
        "kernel → runner started": runner,
    }


def our_times(boot: Boot) -> dict[str, float]:
    """Return the times of our machine, and the agent's part in them."""
    told = take_apart(boot.text)
    runner = told.exec(RUNNER)
    agent = told.exec(AGENT)
    calls = waits(told, told.line(HAND_OVER))
    received = calls.last
    # the first call needed the last route before it
    route = max((at for at in told.routes if at <= calls.first), default=agent)
    address = max(0.0, route - agent)
    ready = max(0.0, told.exec(STARTER) - received)
    span = runner - agent
    share = span - address - calls.under_way - ready
    before = max(0.0, calls.first - agent - address)
    after = runner - received - ready
    return {
        "kernel → agent or script started": agent,
        "kernel → parameter read": received,
        "kernel → runner started": runner,
        "agent → runner started": span,
        "  no network yet": address,
        "  calls under way": calls.under_way,
        "  system not ready": ready,
        "  own share": share,
        "    until the first call": before,
        "    among the calls": share - before - after,
        "    from the hand-over on": after,
        "  own share, strict": span - address - calls.waited - ready,
        "CPU time of the agent": cpu_time(told),
    }


def cpu_time(told: Told) -> float:
    """Return the processor time that the agent's unit had used when the runner started."""
    return int(told.lines["usage_usec"][0]) / 1e6
