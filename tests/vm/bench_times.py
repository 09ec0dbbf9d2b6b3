# SPDX-License-Identifier: MIT
"""What a boot took, read from what the machine told: all times are seconds of its own clock.

CLOCK_MONOTONIC begins when the kernel does. The start of a program is when the kernel has executed
it (trace event sched_process_exec); a line of the journal has the time at which it was sent. What
passed the network card was written down by QEMU with the host's time: the first TCP connection of
the machine, which is in the kernel's trace as well, tells the difference of the clocks.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from .bench_machine import BenchError, Boot

AGENT = "/usr/bin/runner-agent"
RUNNER = "/opt/actions-runner/bin/Runner.Listener"
LAUNCH = "/usr/lib/runner-agent/launch"
HAND_OVER = "hand-over received"
ETHERNET, TCP, SYN = 14, 6, 2
EVENT = re.compile(r"^\s*(\S+)-\d+ +\[\d+\] +\S+ +([\d.]+): (\w+): (.*)$")


@dataclass
class Packet:
    """One packet of a TCP connection of the machine's; `port` is the other side's."""

    at: float
    connection: int
    port: int
    out: bool
    opens: bool
    size: int


@dataclass
class Told:
    """A machine's answer, taken apart."""

    lines: dict[str, list[str]]
    execs: list[tuple[float, str]]
    connects: list[float]
    routes: list[float]
    journal: list[tuple[float, str]]

    def exec(self, name: str) -> float:
        """When a program was executed for the first time."""
        found = [at for at, file in self.execs if file == name]
        if not found:
            raise BenchError(f"the machine has not executed {name}, or its trace was cut")
        return found[0]

    def line(self, text: str) -> float:
        """When a line that begins with this, or has it, was sent to the journal."""
        found = [at for at, line in self.journal if text in line]
        if not found:
            raise BenchError(f'the journal has no line "{text}"')
        return found[0]

    def noted(self, name: str) -> float:
        """A time that a program noted itself."""
        if name not in self.lines:
            raise BenchError(f"the machine has not noted when: {name}")
        return float(self.lines[name][0])


def take_apart(text: str) -> Told:
    """Read what the machine answered to the questions."""
    notes, _, rest = text.partition("== trace\n")
    trace, _, journal = rest.partition("== journal\n")
    lines: dict[str, list[str]] = {}
    for line in notes.splitlines():
        name, *words = line.split(" ")
        lines.setdefault(name, words)
    told = Told(lines, [], [], [], [])
    for line in trace.splitlines():
        event = EVENT.match(line)
        if event and event[3] == "sched_process_exec":
            words = dict(word.partition("=")[::2] for word in event[4].split())
            told.execs.append((float(event[2]), words["filename"]))
        elif event and "newstate=TCP_SYN_SENT" in event[4]:
            told.connects.append(float(event[2]))
        elif event and event[3] == "route":
            told.routes.append(float(event[2]))
    told.journal = [_line(json.loads(line)) for line in journal.splitlines() if line[:1] == "{"]
    return told


def _line(entry: dict[str, str]) -> tuple[float, str]:
    received = int(entry["__REALTIME_TIMESTAMP"])
    sent = int(entry.get("_SOURCE_REALTIME_TIMESTAMP", received))
    message = entry.get("MESSAGE", "")
    at = (int(entry["__MONOTONIC_TIMESTAMP"]) - (received - sent)) / 1e6
    return at, message if isinstance(message, str) else ""


def packets(path: Path) -> Iterator[Packet]:
    """Read the TCP packets that begin a connection or carry data, of QEMU's file (pcap)."""
    data = path.read_bytes()
    place = 24
    while place + 16 <= len(data):
        seconds, micros, size, _ = struct.unpack_from("<IIII", data, place)
        frame = data[place + 16 : place + 16 + size]
        place += 16 + size
        found = _tcp(frame, seconds + micros / 1e6)
        if found is not None and (found.size or found.opens):
            yield found


def _tcp(frame: bytes, at: float) -> Packet | None:
    if frame[12:14] != b"\x08\x00" or frame[ETHERNET + 9] != TCP:
        return None
    header = (frame[ETHERNET] & 15) * 4
    begin = ETHERNET + header
    source, target = struct.unpack_from(">HH", frame, begin)
    total = struct.unpack_from(">H", frame, ETHERNET + 2)[0]
    size = total - header - (frame[begin + 12] >> 4) * 4
    out = target in (80, 443)
    connection, port = (source, target) if out else (target, source)
    return Packet(at, connection, port, out, frame[begin + 13] == SYN, size)


@dataclass
class Waits:
    """How long calls were under way, and how long of that an answer was being waited for."""

    under_way: float
    waited: float
    first: float


def waits(told: Told, path: Path, begin: float, end: float) -> Waits:
    """Measure the calls between two times, by their packets, in the machine's clock."""
    all_packets = list(packets(path))
    opened = [packet.at for packet in all_packets if packet.opens]
    if not opened or not told.connects:
        raise BenchError("no connection was seen: neither by the kernel, or not on the network")
    shift = told.connects[0] - opened[0]
    calls: list[tuple[float, float]] = []
    answers: list[tuple[float, float]] = []
    for connection in dict.fromkeys(packet.connection for packet in all_packets):
        mine = [p for p in all_packets if p.connection == connection]
        mine = [p for p in mine if begin <= p.at + shift <= end]
        if mine:
            calls += _calls(mine, shift)
            answers += _answers(mine, shift)
    first = min((call[0] for call in calls), default=end)
    return Waits(_union(calls), _union(answers), first)


def _calls(mine: list[Packet], shift: float) -> list[tuple[float, float]]:
    """Begin and end of each call; with TLS, all of the connection up to here is one call."""
    if mine[0].port == 443:
        return [(mine[0].at + shift, mine[-1].at + shift)]
    found = []
    begin = mine[0].at
    for before, packet in pairwise(mine):
        if packet.out and not before.out:
            found.append((begin + shift, before.at + shift))
            begin = packet.at
    return [*found, (begin + shift, mine[-1].at + shift)]


def _answers(mine: list[Packet], shift: float) -> list[tuple[float, float]]:
    """From the last packet of a question to the last packet of what came back."""
    found = []
    for before, packet in pairwise(mine):
        if not packet.out:
            found.append((before.at + shift, packet.at + shift))
    return found


def _union(intervals: list[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def stock_times(boot: Boot) -> dict[str, float]:
    """The times of a stock machine."""
    told = take_apart(boot.text)
    runner = told.exec(RUNNER)
    return {
        "kernel → agent or script started": told.noted("script"),
        "kernel → parameter read": told.noted("parameter"),
        "kernel → runner started": runner,
    }


def our_times(boot: Boot) -> dict[str, float]:
    """The times of our machine, and what the agent had a part in."""
    told = take_apart(boot.text)
    runner = told.exec(RUNNER)
    agent, received = told.exec(AGENT), told.line(HAND_OVER)
    calls = waits(told, boot.packets, agent, received)
    # the last route that came before the first call is the one that it needed
    route = max((at for at in told.routes if at <= calls.first), default=agent)
    address = max(0.0, route - agent)
    ready = max(0.0, told.exec(LAUNCH) - received)
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
    """What the agent's unit had used of the processor when its runner started."""
    return int(told.lines["usage_usec"][0]) / 1e6
