# SPDX-License-Identifier: MIT
"""Runs the unit programs and the flow tests, and ends with one line: N passed, N failed."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

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
    programs = sorted(path for path in (build / "unit").glob("test_*") if not path.suffix)
    with ThreadPoolExecutor(max_workers=2) as pool:
        return sum(pool.map(lambda path: run_unit(path, valgrind), programs), Count())


# Two at a time, since they wait more than they work. What tests the equipment, the scripts and the
# template needs plain programs only; with others, the flow tests are the two halves.
FLOW = "tests/flow"
BESIDE = ["tests/cloud", f"{FLOW}/test_deploy.py", f"{FLOW}/test_template.py"]
SECOND_HALF = sorted(map(str, Path(FLOW).glob("test_[5-9]*.py")))
SECOND_HALF += [f"{FLOW}/test_{name}.py" for name in ("doctor", "roles", "secrets")]


def start_pytest(build: Path, name: str, arguments: list[str], **options: Any) -> Popen[bytes]:
    """Starts one pytest, which writes what it counted to BUILD/NAME.xml."""
    report = build / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [f"--junitxml={report}", "-c", "tests/pyproject.toml", "--rootdir=tests"]
    return Popen([*command, *arguments], env={**os.environ, "BUILD": str(build)}, **options)


def read_count(build: Path, name: str, status: int) -> Count:
    """Reads what one pytest counted."""
    report = build / f"{name}.xml"
    if not report.exists():
        return Count(failed=1)
    total = Count()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        good = int(suite.get("tests", 0)) - bad - skipped
        total += Count(good, bad, skipped)
    if status != 0 and total.failed == 0:
        total.failed = 1
    return total


def run_pytest(build: Path) -> Count:
    """Runs the flow tests, and beside them the local cloud's own, or a half of the flow tests."""
    plain = build == Path("build")
    if not plain:
        print(f"only with plain programs: {', '.join(BESIDE)}", flush=True)
    second = BESIDE if plain else SECOND_HALF
    first = [FLOW, *(f"--ignore={path}" for path in {*BESIDE, *second})]
    log = build / "beside.log"
    with log.open("wb") as output:
        other = start_pytest(build, "beside", second, stdout=output, stderr=output)
        main = start_pytest(build, "flow", first)
        total = read_count(build, "flow", main.wait())
        total += read_count(build, "beside", other.wait())
    print(log.read_text(errors="replace"), end="", flush=True)
    return total


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(prog="tests.run", description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"), help="where programs are")
    parser.add_argument("--valgrind", action="store_true", help="only unit programs, in valgrind")
    options = parser.parse_args()
    total = run_units(options.build, options.valgrind)
    if not options.valgrind:
        total += run_pytest(options.build)
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    print(f"{total.passed} passed, {total.failed} failed{skipped}", flush=True)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
