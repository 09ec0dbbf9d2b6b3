# SPDX-License-Identifier: MIT
"""Runs each fuzz target for some seconds, two at a time, beginning with the committed seeds."""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SEEDS = Path(__file__).parent / "fuzz" / "corpus"


def run_target(program: Path, build: Path, seconds: int) -> bool:
    """Runs one target; what it finds interesting goes below build/, what breaks it too."""
    name = program.name.removeprefix("fuzz_")
    found = build / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    command = [str(program), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048"]
    command += ["-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={found}/crash-"]
    command += [str(found), str(SEEDS / name)]
    ended = subprocess.run(command, capture_output=True, check=False)
    output = ended.stderr.decode(errors="replace")
    runs = [
        line.rpartition(":")[2].strip() for line in output.splitlines() if "executed_units" in line
    ]
    if ended.returncode != 0:
        print(f"FAILED {program.name}\n{output[-8000:]}", flush=True)
        return False
    print(f"  ok      {program.name}: {runs[0] if runs else '?'} inputs", flush=True)
    return True


def main() -> int:
    """Runs all targets."""
    parser = argparse.ArgumentParser(prog="tests.run_fuzz", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="where the programs are")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    options = parser.parse_args()
    # by their sources: a program may be left of a target that has another name now
    sources = sorted(Path(__file__).parent.glob("fuzz/fuzz_*.c"))
    programs = [options.build / "fuzz" / source.stem for source in sources]
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(
            pool.map(lambda path: run_target(path, options.build, options.seconds), programs)
        )
    print(f"{results.count(True)} passed, {results.count(False)} failed", flush=True)
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
