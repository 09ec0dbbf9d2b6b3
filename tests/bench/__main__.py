# SPDX-License-Identifier: MIT
"""Measure, print a table, and write the same as JSON. A missed target does not fail the run.

What cannot be measured does, once all else is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from . import batches, burst, drought, figures, picture, reference, webhook
from .runs import BenchError, Peer

GROUPS = (
    webhook.starting,
    webhook.warm,
    webhook.memory,
    webhook.zipped,
    batches.queued,
    batches.register,
    batches.stages,
    burst.burst,
    drought.drought,
    figures.tls,
    figures.agent,
)


def machine() -> dict[str, str]:
    """Describe the machine that the figures are from."""
    info = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line]
    return {
        "cpu": f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "load": f"{os.getloadavg()[0]:.2f} when the measurement began",
    }


def built(scaler: Path) -> dict[str, str]:
    """Describe how the programs were built."""
    flags = scaler.parent.parent / "obj" / "flags"
    version = subprocess.run([scaler, "--version"], capture_output=True, text=True, check=True)
    text = flags.read_text() if flags.exists() else "unknown"
    return {
        "version": version.stdout.strip(),
        "compiler": reference.version(text.split()[0]),
        "flags": text,
        "libraries": ", ".join(
            f"{name} {libraries(text, name)}" for name in ("openssl", "libcurl")
        ),
    }


def libraries(flags: str, name: str) -> str:
    """Return the version of a library: of the zip's own, where the program was built with those."""
    own = re.search(r"-I(\S+)/include(?=\s)", flags)
    folder = {"PKG_CONFIG_LIBDIR": f"{own[1]}/lib/pkgconfig"} if own else {}
    said = subprocess.run(
        ["pkg-config", "--modversion", name],
        env={**os.environ, **folder},
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def row(figure: figures.Figure) -> str:
    """Format one line of the table."""
    mark = {None: "", True: "met", False: "MISSED"}[figure.met]
    sign = ">=" if figure.at_least else "<="
    target = "" if figure.target is None else f"{sign} {figure.target:g}"
    numbers = [min(figure.values), median(figure.values), max(figure.values)]
    cells = "".join(f"{number:9.2f}" for number in numbers)
    return f"{figure.name:<46}{cells} {figure.unit:<4}{target:>8}  {mark:<7} {figure.conditions}"


def document(figure: figures.Figure) -> dict[str, object]:
    """Give one figure the form that the JSON file has."""
    values = [round(value, 4) for value in figure.values]
    return {
        **asdict(figure),
        "values": values,
        "runs": len(values),
        "min": min(values),
        "median": round(median(figure.values), 4),
        "max": max(values),
        "met": figure.met,
    }


@dataclass
class Results:
    """What was measured, group by group, and the groups that could not be."""

    path: Path
    conditions: dict[str, object]
    found: dict[str, list[figures.Figure]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    kept: list[dict[str, object]] = field(default_factory=list)

    def keep(self, group: str) -> None:
        """Keep what an earlier run of the same programs measured in the other groups."""
        if not self.path.exists():
            return
        before = json.loads(self.path.read_text())
        if before.get("build") == self.conditions["build"]:
            self.kept = [one for one in before["figures"] if one.get("group") != group]

    def write(self) -> None:
        """Write what there is so far: a run that is cut off leaves what it has measured."""
        documents = [
            {"group": group, **document(figure)}
            for group, found in self.found.items()
            for figure in found
        ]
        written = {**self.conditions, "failed": self.failed, "figures": self.kept + documents}
        unfinished = self.path.with_suffix(".new")
        unfinished.write_text(json.dumps(written, indent=2) + "\n")
        unfinished.replace(self.path)

    def all(self) -> list[figures.Figure]:
        """Return the figures of this run."""
        return [figure for found in self.found.values() for figure in found]


def measure(bench: figures.Bench, only: str, results: Results) -> None:
    """Measure and print, group by group; one that cannot be measured does not end the others."""
    print(f"{'':<46}{'min':>9}{'median':>9}{'max':>9} {'':<4}{'target':>8}", flush=True)
    for group in GROUPS:
        name = group.__name__
        if only not in ("", name):
            continue
        try:
            for figure in group(bench):
                print(row(figure), flush=True)
                results.found.setdefault(name, []).append(figure)
        except BenchError as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            results.failed[name] = str(error)
        results.write()


def main() -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"), help="folder of the programs")
    parser.add_argument("--effort", type=float, default=1, help="multiplies the number of runs")
    parser.add_argument("--scaler", type=Path, help="another scaler, such as the one of the zip")
    parser.add_argument("--agent", type=Path, help="another agent, such as the one of the package")
    names = [group.__name__ for group in GROUPS]
    parser.add_argument("--only", choices=names, default="", help="measure one group only")
    options = parser.parse_args()
    scaler = (options.scaler or options.build / "bin" / "scaler").resolve()
    conditions = {"machine": machine(), "build": built(scaler)}
    for name, value in (conditions["machine"] | conditions["build"]).items():
        print(f"{name + ':':<10}{value}")
    references, absent = reference.build_all(options.build / "bench" / "reference")
    for name, reason in absent.items():
        print(f"bench: no rows of {name}: {reason}")
    conditions["references"] = {tool: reference.version(tool) for tool in ("rustc", "node")}
    print(f"beside:   {', '.join(conditions['references'].values())}")
    results = Results(options.build / "bench.json", {**conditions, "absent": absent})
    if options.only:
        results.keep(options.only)
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer((options.build / "bench" / "peer").resolve(), Path(folder))
        agent = (options.agent or options.build / "bin" / "runner-agent").resolve()
        bench = figures.Bench(
            peer, options.build, str(scaler), options.effort, references, str(agent)
        )
        measure(bench, options.only, results)
    conditions["machine"]["load"] += f", {os.getloadavg()[0]:.2f} when it ended"
    print(f"load:     {conditions['machine']['load']}")
    results.write()
    drawn = options.build / "bench.svg"
    drawn.write_text(picture.draw(results.all(), conditions["machine"]))
    missed = sum(figure.met is False for figure in results.all())
    print(
        f"written to {results.path} and {drawn.name}; "
        + (f"{missed} targets MISSED" if missed else "all targets met")
    )
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
