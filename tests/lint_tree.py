# SPDX-License-Identifier: MIT
"""Checks how the C files hang together; `make lint` runs it.

It prints each C file that no target of the Makefile compiles, each include that points upward, each
circle of includes, and each network call that no event's time bounds. Which way is up is the table
ROOMS: a file belongs to the first room whose pattern fits its path (* fits slashes as well). It may
include the files of its own room and of the rooms that are listed. To let a room use another one,
add that to its row.

README.md is for a reader's first minutes: what is longer belongs to the folders' own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter
from os.path import normpath
from pathlib import Path

# Targets that together compile every C file.
TARGETS = ["all", "unit-programs", "fuzz-programs", "bench-programs"]
TARGETS += ["sim-program", "build/bench/vm-runner"]

README_WORDS = 1200

LIB = ["base", "http", "cli", "aws", "github", "notify", "lambda", "exchange"]
BELOW_MACHINE = ["queue", "container", "config", *LIB]
BELOW_HANDLERS = ["job", "machine", *BELOW_MACHINE]
BELOW_STAGES = ["settings", "journal", "starter", *LIB]

# room, the files in it, the rooms that it may include
ROOMS: list[tuple[str, str, list[str]]] = [
    ("main", "scaler/main.c", ["handlers", "commands", *BELOW_HANDLERS]),
    ("container", "scaler/scaler.[ch]", ["config", *LIB]),
    ("commands", "scaler/commands/*", ["recover", *BELOW_HANDLERS]),
    ("recover", "scaler/recover/*", BELOW_HANDLERS),
    ("job", "scaler/job/*", ["machine", *BELOW_MACHINE]),
    ("machine", "scaler/machine/*", BELOW_MACHINE),
    ("queue", "scaler/queue/*", ["container", "config", *LIB]),
    ("config", "scaler/config/*", LIB),
    ("handlers", "scaler/*.[ch]", ["recover", *BELOW_HANDLERS]),
    ("starter", "runner-agent/starter/*", ["base"]),
    ("settings", "runner-agent/settings.[ch]", ["starter", *LIB]),
    ("journal", "runner-agent/journal.[ch]", ["base"]),
    ("agent", "runner-agent/agent.[ch]", BELOW_STAGES),
    ("agent main", "runner-agent/main.c", ["agent", "life", "stages", *BELOW_STAGES]),
    ("life", "runner-agent/life*.[ch]", ["agent", "stages", *BELOW_STAGES]),
    ("stages", "runner-agent/*", ["agent", *BELOW_STAGES]),
    ("base", "*/base/*", []),
    ("http", "*/http/*", ["base"]),
    ("cli", "*/cli/*", ["base"]),
    ("exchange", "*/exchange/*", ["aws", "http", "base"]),
    ("aws", "*/aws/*", ["http", "base"]),
    ("github", "*/github/*", ["http", "base"]),
    ("notify", "*/notify/*", ["http", "base"]),
    ("lambda", "*/lambda/*", ["http", "base"]),
]

# A container holds what its parts keep and so includes their headers; that they use the container
# is no circle.
CONTAINERS = ["scaler/scaler.h"]

# A call that is begun without scaler_start() or scaler_call() may outlive the event. Two files may:
# the container, which bounds it, and references, to which the container gives a limit.
UNBOUND = re.compile(r"\bhttp_(?:start|perform)\(")
MAY_BEGIN = ["scaler/scaler.c", "scaler/config/reference.c"]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def output_of(*command: str) -> str:
    """Give what a command prints; a make must not know of the make that runs this."""
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, text=True)
    return ended.stdout


def room_of(path: str) -> tuple[str, list[str]]:
    """Find the room of a file and what it may include; tests have no room."""
    for room, pattern, below in ROOMS:
        if not path.startswith("tests/") and fnmatchcase(path, pattern):
            return room, below
    return "", []


class Tree:
    """The C files of the project, and what its Makefile does with them."""

    def __init__(self) -> None:
        listed = output_of(
            "git", "ls-files", "--cached", "--others", "--exclude-standard", "*.[ch]"
        )
        self.files = sorted(path for path in set(listed.split()) if Path(path).exists())
        commands = output_of("make", "--dry-run", "--always-make", "V=1", "build=build", *TARGETS)
        self.compiled = set(re.findall(r" -c -o \S+ (\S+\.c) ", commands))
        self.folders = list(dict.fromkeys(re.findall(r"-iquote (\S+)", commands)))
        self.includes = {path: self._included_by(path) for path in self.files}

    def _included_by(self, path: str) -> list[str]:
        names = INCLUDE.findall(Path(path).read_text(errors="replace"))
        return [found for found in (self._find(path, name) for name in names) if found]

    @cache  # noqa: B019 - there is one tree, and it lives as long as the process
    def _find(self, path: str, name: str) -> str | None:
        """Find the included file where the compiler would."""
        folders = [str(Path(path).parent), *self.folders]
        candidates = (normpath(f"{folder}/{name}") for folder in folders)
        return next((one for one in candidates if Path(one).exists()), None)

    def forgotten(self) -> list[str]:
        """C files that nothing compiles."""
        sources = (path for path in self.files if path.endswith(".c"))
        return [f"{path}: no target compiles it" for path in sources if path not in self.compiled]

    def upward(self) -> list[str]:
        """Includes from a room that is not below, and product files in no room."""
        faults = []
        for path, included in self.includes.items():
            room, below = room_of(path)
            if not room:
                if not path.startswith("tests/"):
                    faults.append(f"{path}: in no room of tests/lint_tree.py")
                continue
            for other in included:
                other_room = room_of(other)[0] or "tests"
                if other_room not in [room, *below]:
                    faults.append(f"{path}: {room} may not include {other} ({other_room})")
        return faults

    def circles(self) -> list[str]:
        """Circles of includes; a header and its source, wherever they are, count as one."""
        graph: dict[str, set[str]] = {}
        for path, included in self.includes.items():
            nodes = graph.setdefault(node_of(path), set())
            others = (node_of(other) for other in included if other not in CONTAINERS)
            nodes |= set(others) - {node_of(path)}
        faults = []
        while True:
            try:
                TopologicalSorter(graph).prepare()
                return faults
            except CycleError as error:
                circle = error.args[1][::-1]  # each includes the next one
                faults.append("a circle of includes: " + " -> ".join(circle))
                graph[circle[0]].remove(circle[1])

    def unbounded(self) -> list[str]:
        """Calls of the scaler that no event's time bounds."""
        return [
            f"{path}: begins a call with {found[0]}), which no event's time bounds: scaler_start(),"
            " scaler_call()"
            for path in self.files
            if fnmatchcase(path, "scaler/*.c") and path not in MAY_BEGIN
            for found in UNBOUND.finditer(Path(path).read_text(errors="replace"))
        ]


def wordy() -> list[str]:
    """README.md, if it is too long."""
    words = len(Path("README.md").read_text().split())
    return [f"README.md has {words} words, and may have {README_WORDS}"] * (words > README_WORDS)


def node_of(path: str) -> str:
    """Name a header and its source alike."""
    return re.sub(r"^include/", "lib/", path.rpartition(".")[0])


def main() -> int:
    """Prints every fault."""
    tree = Tree()
    faults = tree.forgotten() + tree.upward() + tree.circles() + tree.unbounded() + wordy()
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
