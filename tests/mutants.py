# SPDX-License-Identifier: MIT
"""Puts mistakes into the files that decide, one at a time, and counts what unit tests let pass.

    python -m tests.mutants [--mutants N] [FILE...]

universalmutator makes the mistakes. Of each file N are tried: those whose texts have the lowest
hashes, so always the same ones. A mutant that does not compile, or compiles to the same code, is
none. Survivors that change nothing a user could see stand in mutants.equivalent, with the reason.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

TREE = Path("build/mutants/tree")
MUTATE = Path("build/mutants/venv/bin/mutate")
EQUIVALENT = Path("tests/mutants.equivalent")
SECONDS = 60  # a unit program takes less than two

AGENT = ["agent_alarm", "agent_clock", "agent_end", "agent_idle", "agent_parts", "agent_start"]
GITHUB = ["github_call", "github_runners", "github_token", "github_app", "github_versions"]
# Files that decide, with the unit programs that cover them.
FILES = {
    "lib/aws/ec2.c": ["ec2", "launch"],
    "lib/github/call.c": GITHUB,
    "lib/github/installation_token.c": GITHUB,
    "lib/github/runners.c": [*GITHUB, "registration"],
    "runner-agent/alarm.c": AGENT,
    "runner-agent/idle.c": AGENT,
    "runner-agent/life.c": AGENT,
    "runner-agent/life_end.c": AGENT,
    "runner-agent/run.c": AGENT,
    "runner-agent/runner_exit.c": AGENT,
    "scaler/completed.c": ["completed"],
    "scaler/dead_letter.c": ["dead_letter"],
    "scaler/in_progress.c": ["in_progress"],
    "scaler/instance.c": ["instance", "handle_report"],
    "scaler/notify.c": ["notify"],
    "scaler/queued.c": ["queued"],
    "scaler/webhook.c": ["webhook", "delivery"],
    "scaler/job/give_back.c": ["instance"],
    "scaler/job/handle_report.c": ["handle_report", "instance"],
    "scaler/job/breaker.c": ["breaker"],
    "scaler/job/breaker_image.c": ["breaker"],
    "scaler/job/breaker_spot.c": ["breaker"],
    "scaler/job/launch.c": ["launch", "launch_token", "queued"],
    "scaler/job/launch_name.c": ["launch_name"],
    "scaler/job/park.c": ["park", "queued"],
    "scaler/job/recall.c": ["recall", "queued"],
    "scaler/job/fork.c": ["fork"],
    "scaler/job/registration.c": ["registration", "queued"],
    "scaler/job/relaunch.c": ["relaunch", "queued"],
    "scaler/job/setback.c": ["setback", "queued"],
    "scaler/job/rerun.c": ["rerun"],
    "scaler/job/rerun_decide.c": ["rerun"],
    "scaler/job/ticket.c": ["ticket"],
    "scaler/job/ticket_keys.c": ["ticket_keys"],
    "scaler/job/trusted_report.c": ["handle_report"],
    "scaler/job/undo_launches.c": ["undo_launches", "queued"],
    "scaler/recover/abandoned.c": ["recover"],
    "scaler/recover/overdue.c": ["recover"],
    "scaler/recover/undelivered.c": ["recover"],
    "scaler/machine/leftovers.c": ["completed", "instance"],
    "scaler/machine/notifications.c": ["notification", "handle_report", "instance"],
}


def run(command: list[str], seconds: float) -> bool:
    """Run a command in the tree; tell whether it succeeded in time."""
    process = subprocess.Popen(
        command,
        cwd=TREE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def make(*targets: str) -> bool:
    """Build in the tree, without debug information, so that equal code is equal bytes."""
    return run(["make", "-s", "CFLAGS=-O1", *targets], 600)


def difference(original: str, mutant: str) -> str:
    """Give the line that differs, as `NUMBER: TEXT`."""
    pairs = zip(original.splitlines(), mutant.splitlines(), strict=False)
    for number, (old, new) in enumerate(pairs, 1):
        if old != new:
            return f"{number}: {old.strip()} -> {new.strip()}"
    return "the end"


def mutants(name: str, original: str) -> list[str]:
    """List all mistakes that can be put into a file, in the order in which they are tried."""
    with tempfile.TemporaryDirectory() as folder:
        command = [MUTATE.absolute(), name, "c", "--noCheck", "--mutantDir", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        texts = {path.read_text() for path in Path(folder).iterdir()} - {original}
    return sorted(
        texts, key=lambda text: hashlib.sha256(difference(original, text).encode()).hexdigest()
    )


def try_file(name: str, wanted: int, equivalent: set[str]) -> tuple[int, int, int]:
    """Try the mistakes of one file; count the killed, the survivors and the equivalent."""
    source, original = TREE / name, Path(name).read_text()
    object_file = TREE / "build/obj" / Path(name).with_suffix(".o")
    programs = [f"build/unit/test_{program}" for program in FILES[name]]
    if not make(*programs) or not all(run([program], SECONDS) for program in programs):
        sys.exit(f"mutants: the tests of {name} fail without a mistake")
    code = object_file.read_bytes()
    killed = survived = same = 0
    for text in mutants(name, original):
        if killed + survived + same == wanted:
            break
        source.write_text(text)
        if (
            not make(f"build/obj/{Path(name).with_suffix('.o')}")
            or object_file.read_bytes() == code
        ):
            continue
        what = f"{name}:{difference(original, text)}"
        if not make(*programs) or not all(run([program], SECONDS) for program in programs):
            killed += 1
        elif what.split(":", 2)[0] + ":" + what.split(":", 2)[2] in equivalent:
            same += 1
        else:
            survived += 1
            print(f"  survived {what}", flush=True)
    source.write_text(original)
    return killed, survived, same


def main() -> int:
    """Tries all files, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutants", type=int, default=12, help="how many of each file")
    parser.add_argument("files", nargs="*", default=list(FILES))
    options = parser.parse_args()
    lines = EQUIVALENT.read_text().splitlines()
    equivalent = {line.split(" # ")[0] for line in lines if " # " in line and line[0] != "#"}
    TREE.mkdir(parents=True, exist_ok=True)
    copy = "rm -rf lib scaler runner-agent include tests; cp -a {0}/lib {0}/scaler {0}/runner-agent"
    copy += " {0}/include {0}/tests {0}/Makefile ."
    if not run(["sh", "-c", copy.format(Path.cwd())], SECONDS):
        sys.exit(f"mutants: {TREE} cannot be filled")
    for name in FILES:
        (TREE / name).touch()  # newer than what was compiled of a mutant
    for name in options.files:
        killed, survived, same = try_file(name, options.mutants, equivalent)
        score = 100 * killed // max(1, killed + survived)
        print(
            f"{name:32} {killed:3} killed {survived:3} survived {same:3} equivalent {score:4} %",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
