# SPDX-License-Identifier: MIT
"""One run of a program against the peer (peer/), and what the peer recorded."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

LOG_TAIL = 2000


class BenchError(Exception):
    """A program did not do what is to be measured."""


@dataclass(frozen=True)
class Call:
    """One call of the program; times are microseconds since the fork."""

    name: str
    received: int
    answered: int
    cpu: int


@dataclass
class Run:
    """What the peer recorded of one process."""

    calls: list[Call] = field(default_factory=list)
    exited: int | None = None  # the time, if it ended by itself
    peak_kib: int = 0
    present_kib: int = 0
    own_kib: int = 0
    waits: int = 0  # how often it has waited

    def named(self, name: str) -> list[Call]:
        """Return the calls of one kind, in the order of their arrival."""
        return [call for call in self.calls if call.name == name]

    def first(self, name: str) -> Call:
        """Return the first call of one kind."""
        return self.named(name)[0]

    def between(self, begin: Call, end: Call) -> list[Call]:
        """Return the calls that came after one call and before another."""
        return [call for call in self.calls if begin.received < call.received < end.received]


@dataclass
class Peer:
    """The peer program, and the folder for its answers and for logs."""

    program: Path
    folder: Path

    def answers(self, name: str) -> Path:
        """Return the folder of one set of answers."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def run(
        self,
        command: list[str],
        answers: Path,
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
        **options: str | int | Path,
    ) -> Run:
        """Run a program until the measurement ends; OPTIONS are those of the peer."""
        log = self.folder / "log"
        words = [str(self.program), "--answers", str(answers), "--log", str(log)]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), str(value)]
        ended = subprocess.run(
            [*words, "--", *command],
            env={"PATH": os.environ.get("PATH", ""), **(environment or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise BenchError(f"{command}: {ended.stderr}{log.read_text()[-LOG_TAIL:]}")
        run = read(ended.stdout)
        wrong = sorted({c.name for c in run.calls if c.name in ("error", "unknown", "aws", "")})
        if wrong:
            said = log.read_text()[-LOG_TAIL:]
            raise BenchError(f"{command}: unexpected calls: {wrong}: {said}")
        return run


def read(text: str) -> Run:
    """Read the output of the peer."""
    run = Run()
    for line in text.splitlines():
        kind, *words = line.split(" ")
        if kind == "call":
            run.calls.append(Call(words[0], int(words[1]), int(words[2]), int(words[3])))
        elif kind == "exited":
            run.exited = int(words[1])
        elif kind == "memory":
            run.peak_kib, run.present_kib, run.own_kib = (int(word) for word in words)
        elif kind == "waits":
            run.waits = int(words[0])
    return run
