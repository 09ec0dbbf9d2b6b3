# SPDX-License-Identifier: MIT
"""Runs each fuzz target for some seconds, two at a time, beginning with the committed seeds.

libFuzzer goes the same way each time, and a fast target no further than RUNS_PER_SECOND allows
however fast the machine is, so that a change is not refused for what another one did; --seed=0
looks elsewhere, for all of its time.

With --coverage, the programs count lines (clang's -fprofile-instr-generate): files of which less
than 85 % was reached are listed, beginning with the least, and one below its floor in fuzz/floors
is a failure.

Where each byte decides something by itself (fuzz/world.h), numbers from a fixed seed are as good as
any corpus: those targets begin with inputs that are made here.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SEEDS = Path(__file__).parent / "fuzz" / "corpus"
FLOORS = Path(__file__).parent / "fuzz" / "floors"
ENOUGH = 85
RUNS_PER_SECOND = 3000  # a fast target does more, also on a busy machine
DECIDED_BY_BYTES = ["world"]
# of the handlers in fuzz/world_events.c, those that decide most more often
OFTEN = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 5, 5, 6, 7, 8, 8, 8, 9, 9, 10, 10]
ROOT = Path(__file__).resolve().parent.parent


def make_inputs(folder: Path, count: int) -> None:
    """Makes inputs: most of their decisions are 0, as when all goes well, more or fewer of them."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = random.Random(7)  # noqa: S311 - the same ones each time
    for i in range(count):
        well = numbers.choice([0.3, 0.6, 0.85])
        size = numbers.choice([200, 500, 1200, 2500])
        data = [0 if numbers.random() < well else numbers.randrange(256) for _ in range(size)]
        data[:40] = [numbers.randrange(256) for _ in range(40)]
        data[0] = numbers.choice(OFTEN)
        (folder / f"made-{i:04}").write_bytes(bytes(data))


def run_target(program: Path, options: argparse.Namespace, n_made: int) -> bool:
    """Runs one target; what it finds interesting goes below build/, what breaks it too."""
    name = program.name.removeprefix("fuzz_")
    build = options.build
    found = build / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    seeds = SEEDS / name
    if name in DECIDED_BY_BYTES:
        seeds = build / "made" / str(n_made)
        make_inputs(seeds, n_made)
    command = [str(program), f"-max_total_time={options.seconds}", f"-seed={options.seed}"]
    command += ["-timeout=60", "-rss_limit_mb=2048"]
    if options.seed:
        command.append(f"-runs={RUNS_PER_SECOND * options.seconds}")
    command += ["-max_len=65536", "-print_final_stats=1", f"-artifact_prefix={found}/crash-"]
    command += [str(found), str(seeds)]
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


def measure_coverage(programs: list[Path], build: Path) -> dict[str, float]:
    """Says how many percent of the lines of each source file the targets reached."""
    profile = build / "corpus" / "all.profdata"
    counts = sorted(str(file) for file in profile.parent.glob("*.profraw"))
    subprocess.run(["llvm-profdata", "merge", "-o", str(profile), *counts], check=True)
    objects = [word for program in programs[1:] for word in ("-object", str(program))]
    command = ["llvm-cov", "export", "-summary-only", f"-instr-profile={profile}"]
    exported = subprocess.run(
        [*command, str(programs[0]), *objects], stdout=subprocess.PIPE, check=True
    )
    reached = {}
    for file in json.loads(exported.stdout)["data"][0]["files"]:
        path = Path(file["filename"])
        path = path.relative_to(ROOT) if path.is_absolute() else path
        if path.suffix == ".c" and path.parts[0] != "tests":
            reached[str(path)] = file["summary"]["lines"]["percent"]
    return reached


def floor_of(path: str, floors: list[tuple[float, str]]) -> float:
    """Returns the floor of the first pattern that fits."""
    return next((floor for floor, pattern in floors if fnmatch.fnmatch(path, pattern)), ENOUGH)


def check_coverage(reached: dict[str, float]) -> bool:
    """Prints the files of which too few lines were reached; false: one is below its floor."""
    lines = [line.split() for line in FLOORS.read_text().splitlines()]
    floors = [(float(line[0]), line[1]) for line in lines if line and line[0] != "#"]
    ok = True
    print(f"less than {ENOUGH} % of their lines were reached:")
    for path, percent in sorted(reached.items(), key=lambda item: (item[1], item[0])):
        floor = floor_of(path, floors)
        if percent >= ENOUGH:
            continue
        print(
            f"{percent:6.1f} %  {path}{'' if percent >= floor else f': FAILED, {floor} % needed'}"
        )
        ok = ok and percent >= floor
    return ok


def main() -> int:
    """Runs all targets."""
    parser = argparse.ArgumentParser(prog="tests.run_fuzz", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="where the programs are")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer; 0: of the clock")
    parser.add_argument("--coverage", action="store_true", help="which lines were reached")
    options = parser.parse_args()
    # by their sources: a program may be left of a target that has another name now
    sources = sorted(Path(__file__).parent.glob("fuzz/fuzz_*.c"))
    programs = [options.build / "fuzz" / source.stem for source in sources]
    n_made = 5000 if options.coverage else 500
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(lambda path: run_target(path, options, n_made), programs))
    if options.coverage:
        results.append(check_coverage(measure_coverage(programs, options.build)))
    print(f"{results.count(True)} passed, {results.count(False)} failed", flush=True)
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
