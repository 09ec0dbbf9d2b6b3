# SPDX-License-Identifier: MIT
"""Runs each fuzz target for some seconds, two at a time, beginning with the committed seeds.

With --coverage, the programs count lines (clang's -fprofile-instr-generate): those of each source
file that no target reached are listed, beginning with the file of which least was reached.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SEEDS = Path(__file__).parent / "fuzz" / "corpus"
ROOT = Path(__file__).resolve().parent.parent


def run_target(program: Path, build: Path, seconds: int) -> bool:
    """Runs one target; what it finds interesting goes below build/, what breaks it too."""
    name = program.name.removeprefix("fuzz_")
    found = build / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    command = [str(program), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048"]
    command += ["-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={found}/crash-"]
    command += [str(found), str(SEEDS / name)]
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(found.parent / f"{name}.profraw")}
    ended = subprocess.run(command, capture_output=True, check=False, env=environment)
    output = ended.stderr.decode(errors="replace")
    runs = [
        line.rpartition(":")[2].strip() for line in output.splitlines() if "executed_units" in line
    ]
    if ended.returncode != 0:
        print(f"FAILED {program.name}\n{output[-8000:]}", flush=True)
        return False
    print(f"  ok      {program.name}: {runs[0] if runs else '?'} inputs", flush=True)
    return True


def print_coverage(programs: list[Path], build: Path) -> None:
    """Prints how many lines of each source file the targets reached."""
    profile = build / "corpus" / "all.profdata"
    counts = sorted(str(file) for file in profile.parent.glob("*.profraw"))
    subprocess.run(["llvm-profdata", "merge", "-o", str(profile), *counts], check=True)
    objects = [word for program in programs[1:] for word in ("-object", str(program))]
    command = ["llvm-cov", "export", "-summary-only", f"-instr-profile={profile}"]
    exported = subprocess.run(
        [*command, str(programs[0]), *objects], stdout=subprocess.PIPE, check=True
    )
    files = []
    for file in json.loads(exported.stdout)["data"][0]["files"]:
        path = Path(file["filename"])
        path = path.relative_to(ROOT) if path.is_absolute() else path
        lines = file["summary"]["lines"]
        if path.suffix == ".c" and path.parts[0] != "tests":
            files.append((lines["percent"], lines["count"] - lines["covered"], path))
    print("lines reached, not reached, file")
    for percent, missed, path in sorted(files):
        print(f"{percent:6.1f} %  {missed:5d}  {path}")


def main() -> int:
    """Runs all targets."""
    parser = argparse.ArgumentParser(prog="tests.run_fuzz", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="where the programs are")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--coverage", action="store_true", help="which lines were reached")
    options = parser.parse_args()
    # by their sources: a program may be left of a target that has another name now
    sources = sorted(Path(__file__).parent.glob("fuzz/fuzz_*.c"))
    programs = [options.build / "fuzz" / source.stem for source in sources]
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(
            pool.map(lambda path: run_target(path, options.build, options.seconds), programs)
        )
    if options.coverage:
        print_coverage(programs, options.build)
    print(f"{results.count(True)} passed, {results.count(False)} failed", flush=True)
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
