# SPDX-License-Identifier: MIT
"""Runs the unit programs and the flow tests, and ends with one line: N passed, N failed."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

VALGRIND = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
]


@dataclass
class Count:
    """How many tests passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def run_unit(program: Path, valgrind: bool) -> Count:
    """Runs one cmocka program, which tells its tests in TAP."""
    command = [*VALGRIND, str(program)] if valgrind else [str(program)]
    environment = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    ended = subprocess.run(command, capture_output=True, env=environment, check=False)
    output = (ended.stdout + ended.stderr).decode(errors="replace")
    passed = len(re.findall(r"^ok \d+", output, re.MULTILINE))
    failed = len(re.findall(r"^not ok \d+", output, re.MULTILINE))
    if ended.returncode != 0:
        failed = max(failed, 1)  # a crash, a sanitizer's or valgrind's finding
        print(f"FAILED {program.name}, exit status {ended.returncode}\n{output}", flush=True)
    elif passed == 0:
        failed = 1
        print(f"FAILED {program.name}: it ran no test\n{output}", flush=True)
    else:
        print(f"  ok      {program.name}: {passed} tests", flush=True)
    return Count(passed, failed)


def run_units(build: Path, valgrind: bool) -> Count:
    """Runs all unit programs, two at a time."""
    # Programs of tests that were renamed or removed may still be there, so sources are listed.
    sources = sorted(Path("tests/unit").glob("test_*.c"))
    programs = [build / "unit" / source.stem for source in sources]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return sum(pool.map(lambda path: run_unit(path, valgrind), programs), Count())


# -- the simulation -------------------------------------------------------------------------------

SEEDS = 300
NICE = ["nice", "-n", "10"]


def run_simulation(build: Path) -> Count:
    """Runs seeded worlds and what has goals, two processes at a time.

    What they print comes at their end, and they give way to tests that run beside them: the
    simulation's clock is virtual.
    """
    half = SEEDS // 2
    with ThreadPoolExecutor(max_workers=2) as pool:
        parts = [
            pool.submit(run_seeds, build, 1, half),
            pool.submit(run_seeds, build, 1 + half, SEEDS - half),
            pool.submit(run_goals, build, "--burst"),
            pool.submit(run_goals, build, "--limits=2"),
        ]
        return sum((part.result() for part in parts), Count())


def run_seeds(build: Path, first: int, count: int) -> Count:
    """Runs worlds; one that breaks an invariant fails."""
    command = [*NICE, str(build / "bin" / "sim"), "--first", str(first), "--seeds", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, end="", flush=True)
    found = re.search(r"^(\d+) seeds, (\d+) failed", done.stdout, re.MULTILINE)
    if found is None:
        print(f"  FAILED  the simulation ended with {done.returncode}: {done.stderr}", flush=True)
        return Count(failed=1)
    failed = max(int(found[2]), int(done.returncode != 0))
    return Count(int(found[1]) - failed, failed)


def run_goals(build: Path, option: str) -> Count:
    """Runs bursts, or many jobs against limits of machines; one that misses its goal fails."""
    command = [*NICE, str(build / "bin" / "sim"), option]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, end="", flush=True)
    good, missed = (len(re.findall(rf" {word}$", done.stdout, re.M)) for word in ("good", "MISSED"))
    return Count(good, max(missed, int(done.returncode != 0)))


# -- tests in Python ------------------------------------------------------------------------------

FLOW = "tests/flow"
# Paths that begin so test the equipment, the scripts, the documents and the template: with plain
# programs only.
PLAIN_ONLY = ["tests/cloud"]
PLAIN_ONLY += [f"{FLOW}/test_{name}" for name in ("deploy", "documents.py", "template.py")]
LANES = 6  # pytest processes, each with a cloud of its own; they wait as much as they work
# The files that take longest begin first, so that the lanes end together.
LONGEST = [
    "9_bad_days",
    "crash_points_watch",
    "deploy_stack",
    "deploy",
    "crash_points_machines",
    "crash_points",
    "9_whole_life",
    "crash_points_lines",
    "roles",
    "4_agent_idle",
    "4_agent_runner",
    "secrets",
    "4_agent_starter",
    "4_agent_end",
]
# What `make check` runs: one or two quick files for each stage of a job's life.
QUICK = [
    "documents",
    "1_webhook",
    "2_queued",
    "3_in_progress",
    "4_agent",
    "5_completed",
    "6_instance",
]
SLOWEST_SHOWN = 8


def flow_file(name: str) -> str:
    """Give the path of a file of flow tests."""
    return f"{FLOW}/test_{name}.py"


def python_files(is_plain: bool, is_quick: bool) -> list[str]:
    """List the files to run, those first that take longest."""
    if is_quick:
        return [flow_file(name) for name in QUICK]
    found = sorted([*Path(FLOW).glob("test_*.py"), *Path("tests/cloud").rglob("test_*.py")])
    files = [str(path) for path in found]
    if not is_plain:
        files = [path for path in files if not path.startswith(tuple(PLAIN_ONLY))]
    first = [flow_file(name) for name in LONGEST]
    return sorted(files, key=lambda path: first.index(path) if path in first else len(first))


def run_pytest(build: Path, is_quick: bool) -> Count:
    """Runs files of tests in lanes: each lane takes the next file when it has finished one."""
    is_plain = build == Path("build")
    if not is_plain:
        print(f"only with plain programs: {', '.join(PLAIN_ONLY)}", flush=True)
    report = build / "flow.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-n", str(LANES), "--dist", "loadfile", "--no-loadscope-reorder"]
    command += [f"--junitxml={report}", "-c", "tests/pyproject.toml", "--rootdir=tests"]
    command += python_files(is_plain, is_quick)
    status = subprocess.run(command, env=environment(build), check=False).returncode
    return read_report(report, status)


def environment(build: Path) -> dict[str, str]:
    """Have Python keep what it compiles: each lane would compile pytest and all tests again."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "BUILD": str(build),
        "PYTHONPYCACHEPREFIX": str(Path("build/pycache").absolute()),
    }


def read_report(report: Path, status: int) -> Count:
    """Reads what pytest counted, and prints which files took longest."""
    total = Count()
    seconds: Counter[str] = Counter()
    if report.exists():
        root = ElementTree.parse(report).getroot()
        for suite in root.iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            total += Count(int(suite.get("tests", 0)) - bad - skipped, bad, skipped)
        for case in root.iter("testcase"):
            seconds[file_of(case.get("classname", ""))] += float(case.get("time", 0))
    if status != 0 or not report.exists():
        total.failed = max(total.failed, 1)
    print(f"{sum(seconds.values()):.0f} s of tests in {LANES} lanes; the slowest files:")
    for path, took in seconds.most_common(SLOWEST_SHOWN):
        print(f"{took:6.0f} s  {path}", flush=True)
    return total


def file_of(class_name: str) -> str:
    """Names the file of a test: its name is flow.test_x, or flow.test_x.TestY in a class."""
    module, _, last = class_name.rpartition(".")
    return f"tests/{(class_name if last.startswith('test_') else module).replace('.', '/')}.py"


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(prog="tests.run", description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"), help="where programs are")
    parser.add_argument("--valgrind", action="store_true", help="only unit programs, in valgrind")
    parser.add_argument("--quick", action="store_true", help="of the flow tests only a few files")
    options = parser.parse_args()
    total = run_units(options.build, options.valgrind)
    if not options.valgrind:
        with ThreadPoolExecutor(max_workers=1) as pool:
            simulation = pool.submit(run_simulation, options.build)
            total += run_pytest(options.build, options.quick)
            total += simulation.result()
    print(total, flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
