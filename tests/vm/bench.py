# SPDX-License-Identifier: MIT
"""From the kernel's start to the runner's, in a stock image and in ours: `make bench-vm`.

QEMU boots the same Debian 12 in turn, stock, ours, stock, ours, one machine at a time and without
hardware acceleration: the times are many times those of EC2, but the work is the same.
--measures boots our image with single measures of ami/ undone instead, and --profiles compares the
two profiles of a Debian 13.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from cloud.cloud import Cloud
from cloud.github.stand_in import GitHub

from .bench_machine import (
    HERE,
    Bench,
    BenchError,
    BenchMachines,
    Boot,
    Change,
    make_variant,
    runner_on_disk,
)
from .bench_measures import MEASURES
from .bench_series import RUNNER, Load, Series, cell, compare_with_neighbours, say, take
from .bench_times import our_times, stock_times
from .machine import missing_tools

SHARE = "  own share"
PROMISED_RATIO = 3.0
PROMISED_SHARE = 0.050

DEFINITIONS = """\
All times are from the machines' own clock (CLOCK_MONOTONIC, which begins with the kernel): the
median of {runs} boots, with least and most. A program has started when the kernel has executed it.
The runner is a stand-in that costs nothing; its hand-over is in SSM before the boot.
  stock   Debian 12 as it is on EC2. cloud-init runs tests/vm/bench-user-data: ten questions to the
          metadata service, four runs of the AWS CLI; it installs nothing and waits for nothing.
  ours    the same Debian 12 after ami/install.
  agent → runner started  from the execution of runner-agent to that of the runner; of that:
    no network yet        before the kernel had the route that the first call needs.
    calls under way       while at least one of the calls that lead to the hand-over was under way:
                          from looking up the name and connecting (on an open connection, from the
                          question) until the agent has received the answer; includes TLS.
    system not ready      the agent has the hand-over, but runner.service, which starts the runner,
                          has not started yet: it waits for what a job needs of the system.
    own share             the rest: the agent itself, and the start of the runner; in parts until
                          the first call, among the calls, and from the hand-over on.
    own share, strict     the same, but of the calls only the time in which an answer was awaited,
                          from the last part of a question on: TLS itself counts as the agent's.
  CPU time of the agent   what its unit has used until the runner's start, including its sandbox."""


# -- stock and ours -----------------------------------------------------------------------------


def compare(
    bench: Bench, options: argparse.Namespace, folder: Path, load: Load
) -> dict[str, object]:
    """Boot stock and ours, print the table, and give the figures."""
    runner = Change(files=runner_on_disk(options.runner))
    theirs = make_variant(options.stock, folder / "stock", runner)
    mine = make_variant(options.image, folder / "ours", runner)
    user_data = (HERE / "bench-user-data").read_text()
    stock = Series("stock", lambda: theirs, stock_times, user_data)
    ours = Series("ours", lambda: mine, our_times)
    take(bench, [stock, ours], options.runs, load)
    ratio = median(stock.values(RUNNER)) / median(ours.values(RUNNER))
    share = median(ours.values(SHARE))
    print(DEFINITIONS.format(runs=options.runs))
    print()
    print(f"{'seconds':<36}{'stock':>28}{'ours':>28}")
    rows = dict.fromkeys([*stock.boots[0], *ours.boots[0]])
    for row in rows:
        print(f"{row:<36}{cell(stock.values(row))}{cell(ours.values(row))}")
    print()
    print(
        f"{_mark(ratio >= PROMISED_RATIO)} {RUNNER}: ours is {ratio:.2f} times as fast as stock "
        f"(promised: {PROMISED_RATIO:g} times)"
    )
    print(
        f"{_mark(share < PROMISED_SHARE)} the agent's own share is {share * 1000:.0f} ms "
        f"(promised: less than {PROMISED_SHARE * 1000:.0f} ms)"
    )
    return {
        "stock": {row.strip(): stock.values(row) for row in stock.boots[0]},
        "ours": {row.strip(): ours.values(row) for row in ours.boots[0]},
        "ratio": round(ratio, 3),
        "promised_ratio": PROMISED_RATIO,
        "own_share_seconds": round(share, 6),
        "promised_own_share_seconds": PROMISED_SHARE,
    }


def _mark(met: bool) -> str:
    return "met:   " if met else "MISSED:"


# -- single measures ----------------------------------------------------------------------------


def undo(bench: Bench, options: argparse.Namespace, folder: Path, load: Load) -> dict[str, object]:
    """Boot ours, and ours without each of the measures; print what each brings."""

    def without(name: str) -> Series:
        def make() -> Path:
            change = MEASURES[name].change(options) if name else Change()
            change.files |= runner_on_disk(options.runner)
            return make_variant(options.image, folder / "image", change)

        return Series(f"without {name}" if name else "with all", make, our_times)

    kept = without("")
    series = {name: without(name) for name in options.measures}
    take(bench, [one for other in series.values() for one in (kept, other)], options.runs, load)
    take(bench, [kept], 1, load)
    effects = compare_with_neighbours(kept, list(series.values()))
    print(
        f"{RUNNER}, in seconds: the median of {options.runs} boots, with least and most.\n"
        "The host's speed changes within minutes: hence the effect compares each boot with the\n"
        "boots right before and after it, which had all measures."
    )
    print(f"{'with all measures':<24}{cell(kept.values(RUNNER))}{'effect':>10}   what is undone")
    for (name, one), effect in zip(series.items(), effects, strict=True):
        figures = cell(one.values(RUNNER))
        print(f"{'without ' + name:<24}{figures}{effect:>+10.3f}   {MEASURES[name].text}")
    return {
        "with": kept.values(RUNNER),
        "without": {name: one.values(RUNNER) for name, one in series.items()},
        "effect": dict(zip(series, effects, strict=True)),
    }


# -- profiles -----------------------------------------------------------------------------------


def compare_profiles(
    bench: Bench, options: argparse.Namespace, folder: Path, load: Load
) -> dict[str, object]:
    """Boot PROFILE=minimal and PROFILE=hosted in turn, and print the table."""
    runner = runner_on_disk(options.runner)
    # the bench has no proxy
    changes = {"minimal": [], "hosted": ["/etc/runner-agent/environment"]}

    def times(boot: Boot) -> dict[str, float]:
        return our_times(boot) | {"QEMU's processor time": boot.cpu_seconds}

    series = []
    for name, remove in changes.items():
        change = Change(files=runner, remove=remove)
        image = make_variant(options.image.parent / name, folder / name, change)
        series.append(Series(name, lambda image=image: image, times))
    take(bench, series, options.runs, load)
    print(f"Seconds: the median of {options.runs} boots in turn, with least and most.")
    print(f"{'':<36}{'minimal':>28}{'hosted':>28}")
    for row in series[0].boots[0]:
        print(f"{row:<36}" + "".join(cell(one.values(row)) for one in series))
    return {one.name: {row.strip(): one.values(row) for row in one.boots[0]} for one in series}


# -- the program --------------------------------------------------------------------------------


def refuse(text: str) -> None:
    """End with the reason and the next step."""
    sys.exit(f"bench-vm: {text}")


def check(options: argparse.Namespace) -> None:
    """Check that everything needed is there, before anything begins."""
    if missing := missing_tools():
        refuse(
            f"missing programs: {', '.join(missing)}; install the packages qemu-system-x86, "
            "netcat-openbsd, e2fsprogs and fdisk"
        )
    images = {options.image: "tests/vm/image", options.stock: "tests/vm/image stock"}
    if options.profiles:
        images = {
            options.image.parent / name: f"tests/vm/image {name}" for name in ("minimal", "hosted")
        }
    for image, command in images.items():
        if not (image / "disk.raw").exists():
            refuse(f"there is no image in {image}; make it with `{command}`, as root")
        if not os.access(image / "ca.key", os.R_OK):
            refuse(f"only root can read {image}; run this as root or with sudo")
    if not options.runner.exists():
        refuse(f"{options.runner} is missing; make bench-vm builds it")
    for name in options.measures:
        if name not in MEASURES:
            refuse(f"no measure named {name}; there are: {' '.join(MEASURES)}")


def parse() -> argparse.Namespace:
    """Read the options."""
    build = Path(os.environ.get("BUILD", "build"))
    parser = argparse.ArgumentParser(prog="vm.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=0, help="boots of each kind (5; measures: 3)")
    parser.add_argument("--image", type=Path, default=Path("build/vm/image"))
    parser.add_argument("--stock", type=Path, default=Path("build/vm/stock"))
    parser.add_argument("--runner", type=Path, default=build / "bench" / "vm-runner")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument(
        "--measures", nargs="*", help=f"measures to undo, or all; there are: {' '.join(MEASURES)}"
    )
    parser.add_argument(
        "--profiles", action="store_true", help="compare PROFILE=minimal and PROFILE=hosted"
    )
    options = parser.parse_args()
    options.only_measures = options.measures is not None
    if options.measures in ([], ["all"]):
        options.measures = list(MEASURES)
    options.measures = options.measures or []
    options.runs = options.runs or (3 if options.only_measures else 5)
    name = "bench-vm-measures.json" if options.only_measures else "bench-vm.json"
    if options.profiles:
        name = "bench-vm-profiles.json"
    options.json = options.json or build / name
    for name in ("image", "stock", "runner"):
        setattr(options, name, getattr(options, name).absolute())
    return options


def main() -> int:
    """Measure what was asked for."""
    options = parse()
    check(options)
    load = Load()
    before = round(os.getloadavg()[0], 2)
    say(f"load average {before:.2f} before the first boot; a pair of boots takes minutes")
    work = options.image.resolve().parent
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=work) as folder,
        Cloud(make_github=GitHub, make_machines=BenchMachines) as cloud,
    ):
        measure = undo if options.only_measures else compare
        if options.profiles:
            measure = compare_profiles
        try:
            found = measure(Bench(cloud), options, Path(folder), load)
        except BenchError as error:
            refuse(str(error))
    if warning := load.warning():
        print(warning)
    written = {
        "runs": options.runs,
        "load_average_before": before,
        "others_used_processors": load.others,
        **found,
    }
    options.json.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
    print(f"written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
