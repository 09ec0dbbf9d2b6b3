# SPDX-License-Identifier: MIT
"""Runs every step that a change must pass, two at a time; .ci/run calls it.

A step's output goes to build/ci/STEP.log, and is printed as one block when the step ends. At the
end come a table of what each step took, and one line with the sum of what the steps counted.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.run import Count

LANES = 2
MINUTES = 85  # CI ends everything after 90, and would show nothing of a step that hangs
LOGS = Path("build/ci")
# "3 passed, 0 failed", "= 3 failed, 4 passed, 1 skipped in 2.50s =", "1 error in 2.50s"
COUNTS = re.compile(r"^[= ]*(\d+ (?:passed|failed|skipped|errors?)\b.*)$", re.MULTILINE)


@dataclass
class Step:
    """One command, the steps that must have ended before it begins, and what became of it."""

    name: str
    command: str
    after: list[str] = field(default_factory=list)
    counts: bool = True  # its last line counts tests
    may_skip: bool = False  # all of them, where this machine cannot run them

    ended: bool = False
    count: Count = field(default_factory=Count)
    minutes: float = 0.0
    cpu_minutes: float = 0.0

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return LOGS / f"{self.name}.log"

    @property
    def state(self) -> str:
        """What to call its end."""
        return "FAILED" if self.count.failed else "ok"


# A lane that is free takes the first of these that need not wait: what takes longest stands first.
# Two makes must not compile into one folder at a time: the second waits for the first (`after`).
# What test-build and test-vm share is made before them, and test-vm takes it as it is: while it
# runs, test-build may put the same package there again.
PREPARE = "tests/prepare lint fuzz test test-build test-packer test-vm package-x86_64 package-arm64"
ARCH = os.uname().machine.replace("aarch64", "arm64")
PACKAGE = f"build/runner-agent-{ARCH}.deb"
STEPS = [
    Step("prepare", PREPARE, counts=False),
    Step("package", f"make -j2 package ARCH={ARCH}", after=["prepare"], counts=False),
    Step("programs", "make -j2 all unit-programs sim-program", after=["prepare"], counts=False),
    Step("test-vm", f"make test-vm PACKAGE={PACKAGE}", after=["programs", "package"]),
    Step("test-build", "make test-build", after=["package"]),
    Step("test", "make test", after=["programs"]),
    Step("sanitizers", "make test SANITIZE=address,undefined", after=["prepare"]),
    Step("test-packer", "make test-packer", after=["prepare"]),
    Step("test-emulators", "make test-emulators TRY=1", after=["programs"], may_skip=True),
    Step("valgrind", "make valgrind", after=["programs"]),
    Step("fuzz", "make fuzz FUZZ_SECONDS=20", after=["prepare"]),
    Step("lint", "make lint", after=["programs"], counts=False),
]


def say(text: str) -> None:
    """Print a line of this program's own among the output of steps."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def read_count(text: str) -> Count | None:
    """Read the last line that counts tests, in the words of tests.run or of pytest."""
    lines = COUNTS.findall(text)
    if not lines:
        return None
    numbers = {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", lines[-1])}
    failed = sum(numbers.get(word, 0) for word in ("failed", "error", "errors"))
    return Count(numbers.get("passed", 0), failed, numbers.get("skipped", 0))


class Run:
    """All steps in their lanes."""

    def __init__(self) -> None:
        self.deadline = time.monotonic() + 60 * MINUTES
        self.printing = threading.Lock()
        self.steps = {step.name: step for step in STEPS}
        self.waiting = list(STEPS)
        self.changed = threading.Condition()

    def run(self) -> None:
        """Run the steps; at the deadline, or when this program is told to end, end them."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hurry)
        with ThreadPoolExecutor(LANES) as lanes:
            for lane in [lanes.submit(self._lane) for _ in range(LANES)]:
                lane.result()

    def _hurry(self, number: int, _: FrameType | None) -> None:
        say(f"{signal.Signals(number).name}: ending all steps")
        self.deadline = 0.0

    def _lane(self) -> None:
        """Run one step after the other until none is left."""
        while step := self._next():
            self._step(step)

    def _next(self) -> Step | None:
        """Take the first step that need not wait, or wait until one need not."""
        with self.changed:
            while self.waiting:
                for step in self.waiting:
                    if all(self.steps[name].ended for name in step.after):
                        self.waiting.remove(step)
                        return step
                self.changed.wait()
        return None

    def _step(self, step: Step) -> None:
        try:
            say(f"begins: {step.name} ({step.command})")
            began = time.monotonic()
            with step.log.open("wb") as log:
                status = self._command(step, log.fileno())
            step.minutes = (time.monotonic() - began) / 60
            step.count = self._count(step, status)
        except BaseException:
            step.count = Count(failed=1)
            raise
        finally:
            with self.changed:
                step.ended = True
                self.changed.notify_all()
        with self.printing:
            print(f"\n======== {step.name}: {step.command}")
            print(step.log.read_text(errors="replace").rstrip())
            print(f"======== {step.name}: {step.state}\n")
            say(f"ends: {step.name}, {step.state}, {step.minutes:.1f} minutes")

    def _command(self, step: Step, log: int) -> int:
        """Run a step's command in a process group of its own; give its status."""
        process = subprocess.Popen(
            step.command.split(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait(process.pid, log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        step.cpu_minutes = (usage.ru_utime + usage.ru_stime) / 60
        return process.returncode

    def _wait(self, pid: int, log: int) -> None:
        """Wait until a process ends; at the deadline, let its group end, and then make it."""
        pidfd = os.pidfd_open(pid)
        try:
            while time.monotonic() < self.deadline:
                if select.select([pidfd], [], [], 1.0)[0]:
                    return
            os.write(log, b"\nended from outside: the time is over\n")
            os.killpg(pid, signal.SIGINT)
            if not select.select([pidfd], [], [], 30.0)[0]:
                os.killpg(pid, signal.SIGKILL)
        finally:
            os.close(pidfd)

    def _count(self, step: Step, status: int) -> Count:
        count = read_count(step.log.read_text(errors="replace")) if step.counts else Count()
        ran = count is not None and (count.passed or (step.may_skip and count.skipped))
        if count is None or (step.counts and not ran) or status != 0:
            count = count or Count()
            count.failed = max(count.failed, 1)
        return count


def print_table(minutes: float) -> None:
    """Print what each step took."""
    print(f"{'step':14}{'minutes':>8}{'CPU':>7}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for step in STEPS:
        count = step.count
        numbers = f"{count.passed:8}{count.failed:8}{count.skipped:9}"
        mark = f"  FAILED, see build/ci/{step.name}.log" if count.failed else ""
        print(f"{step.name:14}{step.minutes:8.1f}{step.cpu_minutes:7.1f}{numbers}{mark}")
    print(f"{'all':14}{minutes:8.1f}{sum(step.cpu_minutes for step in STEPS):7.1f}")


def main() -> int:
    """Runs all steps."""
    LOGS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    Run().run()
    total = sum((step.count for step in STEPS), Count())
    print_table((time.monotonic() - began) / 60)
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
