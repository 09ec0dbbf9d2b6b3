# SPDX-License-Identifier: MIT
"""From the kernel's start to the runner's, in a stock image and in ours: `make bench-vm`.

The same Debian 12 is booted in turn, stock, ours, stock, ours, one machine at a time, by QEMU
without hardware acceleration: the times are many times those of EC2, but the work is the same.
--measures boots our image with single measures of ami/ undone instead.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from cloud.cloud import Cloud
from cloud.github import GitHub

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
from .bench_times import our_times, stock_times
from .machine import missing_tools

RUNNER = "kernel → runner started"
SHARE = "  own share"
PROMISED_RATIO = 3.0
PROMISED_SHARE = 0.050
QUIET = 0.10  # of a processor: more work of others than this disturbs

DEFINITIONS = """\
All times are the machines' own (CLOCK_MONOTONIC, from the kernel's start on): the median of {runs}
boots, with the least and the most. A program has started when the kernel has executed it. The
runner is a stand-in that costs nothing; its hand-over waits in SSM before the boot.
  stock   Debian 12 as it is on EC2. cloud-init runs tests/vm/bench-user-data: ten questions to the
          metadata service, four processes of the AWS CLI; nothing installed, nothing waited for.
  ours    the same Debian 12 after ami/install.
  agent → runner started  from the execution of runner-agent to that of the runner; of that:
    no network yet        before the kernel had the route that the first call needs.
    calls under way       the time in which at least one call was under way, of those that lead to
                          the hand-over: from looking up the name and connecting (from the
                          question, where the connection is open) until the agent has received the
                          answer. TLS is in it.
    system not ready      the agent has the hand-over, and runner.service, which starts the runner,
                          is not started yet: it waits for what a job needs of the system.
    own share             what is left: the agent itself, and the start of the runner; in parts
                          until the first call, among the calls, and from the hand-over on.
    own share, strict     the same, but of the calls only the time in which an answer was awaited,
                          from a question's last part on: TLS itself counts as the agent's.
  CPU time of the agent   what its unit has used until the runner's start, its sandbox included."""


@dataclass
class Series:
    """One kind of machine, what makes its image, and what its boots took."""

    name: str
    make: Callable[[], Path]
    read: Callable[[Boot], dict[str, float]]
    user_data: str = ""
    boots: list[dict[str, float]] = field(default_factory=list)

    def values(self, row: str) -> list[float]:
        """The times of one row."""
        return [boot[row] for boot in self.boots if row in boot]


@dataclass
class Load:
    """How much of the processors others have used during the boots, in processors."""

    others: list[float] = field(default_factory=list)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Note what others use in the meantime."""
        begin = time.monotonic(), _busy(), _used()
        yield
        seconds, busy, used = time.monotonic() - begin[0], _busy() - begin[1], _used() - begin[2]
        self.others.append(max(0.0, (busy - used) / seconds))

    def warning(self) -> str:
        """What to say of it to who reads the figures; empty when it was quiet."""
        most = max(self.others, default=0.0)
        if most <= QUIET:
            return ""
        return (
            f"WARNING: other work used up to {most:.1f} of this machine's {os.cpu_count()} "
            "processors meanwhile: the figures are provisional; repeat it on a quiet machine"
        )


def _busy() -> float:
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _, _, interrupts, soft, *_ = map(int, words)
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def _used() -> float:
    """Of this process and of its children that have ended: the virtual machines."""
    used = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        used += usage.ru_utime + usage.ru_stime
    return used


def say(text: str) -> None:
    """Tell the progress, beside the table."""
    print(f"bench-vm: {text}", file=sys.stderr, flush=True)


def take(bench: Bench, series: list[Series], times: int, load: Load) -> None:
    """Boot each kind in turn, so often."""
    total = len(series) * times
    for number in range(total):
        one = series[number % len(series)]
        image = one.make()
        began = time.monotonic()
        with load.watch():
            boot = bench.boot(image, one.user_data)
        one.boots.append(one.read(boot))
        say(
            f"{number + 1} of {total}: {one.name}: runner started after "
            f"{one.boots[-1][RUNNER]:.2f} s (in all {time.monotonic() - began:.0f} s; others used "
            f"{load.others[-1]:.1f} processors)"
        )


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
        print(f"{row:<36}{_cell(stock.values(row))}{_cell(ours.values(row))}")
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


def _cell(values: list[float]) -> str:
    if not values:
        return f"{'–':>28}"
    return f"{median(values):.3f} ({min(values):.3f} to {max(values):.3f})".rjust(28)


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

    series = {name: without(name) for name in ["", *options.measures]}
    take(bench, list(series.values()), options.runs, load)
    kept = series.pop("").values(RUNNER)
    print(f"{RUNNER}, in seconds: the median of {options.runs} boots, with the least and the most")
    print(f"{'with all measures':<20}{_cell(kept)}{'effect':>10}   what is undone")
    for name, one in series.items():
        effect = median(one.values(RUNNER)) - median(kept)
        cell = _cell(one.values(RUNNER))
        print(f"{'without ' + name:<20}{cell}{effect:>+10.3f}   {MEASURES[name].text}")
    return {
        "with": kept,
        "without": {name: one.values(RUNNER) for name, one in series.items()},
    }


# -- the program --------------------------------------------------------------------------------


def refuse(text: str) -> None:
    """End, with the reason and what to do."""
    sys.exit(f"bench-vm: {text}")


def check(options: argparse.Namespace) -> None:
    """Look for all that is needed before anything is begun."""
    if missing := missing_tools():
        refuse(
            f"missing programs: {', '.join(missing)}; install the packages qemu-system-x86, "
            "netcat-openbsd, e2fsprogs and fdisk"
        )
    images = {options.image: "tests/vm/image", options.stock: "tests/vm/image stock"}
    for image, command in images.items():
        if not (image / "disk.raw").exists():
            refuse(f"there is no image in {image}; as root, `{command}` makes it")
        if not os.access(image / "ca.key", os.R_OK):
            refuse(f"{image} is root's; run this as root or with sudo")
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
    parser.add_argument("--json", type=Path, help="where the figures are written")
    parser.add_argument(
        "--measures", nargs="*", help=f"measures to undo, or all: {' '.join(MEASURES)}"
    )
    options = parser.parse_args()
    options.only_measures = options.measures is not None
    if options.measures in ([], ["all"]):
        options.measures = list(MEASURES)
    options.measures = options.measures or []
    options.runs = options.runs or (3 if options.only_measures else 5)
    name = "bench-vm-measures.json" if options.only_measures else "bench-vm.json"
    options.json = options.json or build / name
    for name in ("image", "stock", "runner"):
        setattr(options, name, getattr(options, name).absolute())
    return options


def main() -> int:
    """Measures what was asked for."""
    options = parse()
    check(options)
    load = Load()
    before = round(os.getloadavg()[0], 2)
    say(f"load average {before:.2f} before it begins; a pair of boots takes minutes")
    work = options.image.resolve().parent
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=work) as folder,
        Cloud(make_github=GitHub, make_machines=BenchMachines) as cloud,
    ):
        measure = undo if options.only_measures else compare
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
