# SPDX-License-Identifier: MIT
"""Puts mistakes into the files that decide, one at a time, and counts what tests let pass.

    python -m tests.mutants [--mutants N] [FILE...]

universalmutator makes the mistakes. Of each file N are tried: those whose texts have the lowest
hashes, so always the same ones. The unit programs of the file run until one fails, then a few seeds
of the simulation. These are no mistakes: what does not compile without a warning, what compiles to
the same code as another, and what changes no decision (`decides`). Survivors that change nothing a
user could see stand in mutants.equivalent, with the reason.

Only the mutant is compiled. A program is linked with its object file before the archives, whose
own file of that name is then not taken.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUILD = Path("build/mutants")
MUTATE = BUILD / "venv/bin/mutate"
EQUIVALENT = Path("tests/mutants.equivalent")
SECONDS = 180  # a program that waits for ever, beside others
CPU_SECONDS = 15  # a program that never waits; unit programs take less than two
MEMORY = 4 << 30
SEEDS = 20

GITHUB = ["github_call", "github_runners", "github_token", "github_app", "github_versions"]
# Files that decide, with the unit programs that cover them.
FILES = {
    "lib/aws/ec2.c": ["ec2", "launch", "recover", "breaker"],
    "lib/github/call.c": GITHUB,
    "lib/github/installation_token.c": ["github_token", *GITHUB],
    "lib/github/runners.c": ["github_runners", "registration"],
    "lib/github/scope.c": ["github_runners", "registration"],
    "lib/notify/summary.c": ["notify"],
    "runner-agent/alarm.c": ["agent_alarm", "agent_life"],
    "runner-agent/idle.c": ["agent_idle", "agent_life"],
    "runner-agent/life.c": ["agent_life"],
    "runner-agent/life_end.c": ["agent_life"],
    "runner-agent/life_idle.c": ["agent_life"],
    "runner-agent/run.c": ["agent_run"],
    "runner-agent/runner_exit.c": ["agent_run", "agent_parts"],
    "scaler/batch.c": ["batch", "batch_retry"],
    "scaler/batch_answer.c": ["batch", "batch_retry"],
    "scaler/admit.c": ["paced", "line"],
    "scaler/completed.c": ["completed"],
    "scaler/dead_letter.c": ["dead_letter"],
    "scaler/in_progress.c": ["in_progress"],
    "scaler/instance.c": ["instance", "handle_report"],
    "scaler/instance_read.c": ["instance", "handle_report"],
    "scaler/notify.c": ["notify"],
    "scaler/queued.c": ["queued", "breaker", "park", "fork", "setback"],
    "scaler/queued_launch.c": ["queued", "breaker", "park", "fork", "setback"],
    "scaler/queued_settle.c": ["queued", "park", "fork", "registration", "undo_launches"],
    "scaler/queued_limits.c": ["limits", "queued"],
    "scaler/queued_pace.c": ["queued_pace"],
    "scaler/register.c": ["register", "registration", "queued"],
    "scaler/register_pace.c": ["register", "registrars", "registration"],
    "scaler/register_settle.c": ["register", "registration", "queued"],
    "scaler/watch.c": ["watch", "takers"],
    "scaler/webhook.c": ["webhook", "delivery"],
    "scaler/config/config_match.c": ["config_match", "fork"],
    "scaler/job/app_installation.c": ["registrars"],
    "scaler/job/ask.c": ["recall", "watch", "relaunch", "queued"],
    "scaler/job/ask_run.c": ["paced", "recall", "watch"],
    "scaler/job/breaker.c": ["breaker"],
    "scaler/job/breaker_image.c": ["breaker"],
    "scaler/job/breaker_spot.c": ["breaker"],
    "scaler/job/delivery.c": ["delivery", "webhook"],
    "scaler/job/deregister.c": ["instance", "watch", "handle_report"],
    "scaler/job/ended_machines.c": ["instance", "handle_report"],
    "scaler/job/follow.c": ["register", "watch"],
    "scaler/job/fork.c": ["fork"],
    "scaler/job/give_back.c": ["give_back", "instance"],
    "scaler/job/handle_report.c": ["handle_report", "instance"],
    "scaler/job/idle_machines.c": ["instance", "handle_report"],
    "scaler/job/launch.c": ["launch_name", "launch_fleet", "launch"],
    "scaler/job/launch_fleet.c": ["launch_fleet", "launch_fleet_again"],
    "scaler/job/launch_fleet_errors.c": ["launch_fleet", "launch_fleet_again"],
    "scaler/job/launch_ladder.c": ["launch", "launch_token", "park", "queued"],
    "scaler/job/launch_name.c": ["launch_name", "launch_fleet", "launch_fleet_again"],
    "scaler/job/launch_zones.c": ["launch_fleet", "launch_fleet_again"],
    "scaler/job/launch_pace.c": ["pace", "paced", "queued_pace"],
    "scaler/job/launch_steps.c": ["launch", "launch_fleet", "launch_fleet_again", "launch_token"],
    "scaler/job/launched.c": ["register", "queued"],
    "scaler/job/loss.c": ["loss", "rerun", "handle_report", "instance"],
    "scaler/job/limits.c": ["limits", "line"],
    "scaler/job/line.c": ["limits", "line"],
    "scaler/job/line_look.c": ["line"],
    "scaler/job/match.c": ["queued", "webhook", "config_match"],
    "scaler/job/offer.c": ["launch", "ladder", "queued"],
    "scaler/job/pace.c": ["pace", "register", "paced", "budget"],
    "scaler/job/paced.c": ["paced"],
    "scaler/job/park.c": ["park", "queued"],
    "scaler/job/pools.c": ["pools", "launch_fleet"],
    "scaler/job/recall.c": ["recall", "queued", "launch_fleet_again"],
    "scaler/job/registration_way.c": ["registration", "queued"],
    "scaler/job/registration_steps.c": ["registration", "queued"],
    "scaler/job/registrars.c": ["registrars", "register"],
    "scaler/job/relaunch.c": ["relaunch", "watch", "queued"],
    "scaler/job/rerun.c": ["rerun"],
    "scaler/job/rerun_decide.c": ["rerun"],
    "scaler/job/rerun_end.c": ["rerun"],
    "scaler/job/rerun_losses.c": ["rerun"],
    "scaler/job/running.c": ["paced", "watch"],
    "scaler/job/setback.c": ["setback", "queued"],
    "scaler/job/takers.c": ["takers"],
    "scaler/job/ticket.c": ["ticket"],
    "scaler/job/ticket_keys.c": ["ticket_keys", "handle_report"],
    "scaler/job/trusted_report.c": ["handle_report"],
    "scaler/job/turn.c": ["paced", "line"],
    "scaler/job/undo_launches.c": ["undo_launches", "queued"],
    "scaler/job/watch_jobs.c": ["watch", "takers"],
    "scaler/job/watch_look.c": ["watch", "takers"],
    "scaler/job/watch_put_off.c": ["watch", "takers"],
    "scaler/job/watch_refused.c": ["watch"],
    "scaler/machine/leftovers.c": ["leftovers", "undo_launches", "completed"],
    "scaler/machine/notifications.c": ["notification", "handle_report", "instance"],
    "scaler/recover/abandoned.c": ["recover"],
    "scaler/recover/attempts.c": ["attempts", "recover_refused"],
    "scaler/recover/hanging.c": ["recover"],
    "scaler/recover/own_hooks.c": ["recover_hooks"],
    "scaler/recover/overdue.c": ["recover"],
    "scaler/recover/sweep.c": ["recover", "recover_hooks"],
    "scaler/recover/undelivered.c": ["recover", "recover_refused", "recover_hooks"],
}

STRING = r'"(?:[^"\\]|\\.)*"'
FIELD = re.compile(rf"LOG_(?:TEXT|NUMBER) ?\((?:{STRING}|[^()\"]|\([^()]*\))*\)")
BELOW = re.compile(r"(<|>=) (?:-1|\(0-1\))(?!\w)")


def without_words(line: str) -> str:
    """Leave out what people read: texts with a space, and the fields of a log's line."""
    sentence = re.compile(STRING)
    return sentence.sub(
        lambda text: "" if " " in text[0] or text[0] == '""' else text[0], FIELD.sub("", line)
    )


def decides(old: str, new: str) -> bool:
    """Tell whether a change of a line may change what is done.

    It does not where only words for people change, nor where `< 0` becomes `< -1`: no failure is
    -EPERM.
    """
    rest = without_words(old)
    if rest != old and (rest == without_words(new) or not rest.strip(" ,;)")):
        return False
    return BELOW.sub(r"\1 0", new) != old


def limit() -> None:
    """Bound what a mutant may use up."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command: list[str]) -> bool:
    """Run a command; tell whether it succeeded in time."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=limit,
    )
    try:
        return process.wait(SECONDS) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def make(*arguments: str) -> str:
    """Build below build/mutants, without debug information, so that equal code is equal bytes."""
    command = ["make", "--no-print-directory", f"build={BUILD}", "CFLAGS=-O1", *arguments]
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    if made.returncode:
        sys.exit(f"mutants: this failed: {' '.join(command)}\n{made.stderr}")
    return made.stdout


def command_for(target: str, changed: str) -> list[str]:
    """Give the command that makes a target again after a file has changed."""
    lines = make("-n", "V=1", "-W", changed, target).splitlines()
    (command,) = [line.partition(" 2>")[0] for line in lines if f" -o {target} " in line]
    return shlex.split(command)


class Program:
    """A test program, which is linked again with each mutant."""

    def __init__(self, target: str, arguments: list[str]):
        self.target, self.arguments = target, arguments
        make(target)
        self.link = command_for(target, "lib/base/err.c")

    def passes(self, mutant: Path) -> bool:
        """Link it with a mutant's object file and run it."""
        program = mutant.parent / Path(self.target).name
        link = self.link.copy()
        at = link.index(self.target)
        link[at : at + 1] = [str(program), str(mutant)]
        return run(link) and run([str(program), *self.arguments])


class File:
    """One file, the way to compile it, and the programs that test it."""

    def __init__(self, name: str, folder: Path):
        self.name, self.folder = name, folder
        self.original = Path(name).read_text()
        with (BUILD / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one make at a time
            self._prepare()
        self.code = self.object_of(self.original, folder / "original")
        if self.failing(folder / "original/mutant.o"):
            sys.exit(f"mutants: the tests of {name} fail without a mistake")

    def _prepare(self) -> None:
        """Make the programs once, and keep the commands."""
        name = self.name
        self.programs = [Program(f"{BUILD}/unit/test_{unit}", []) for unit in FILES[name]]
        if not name.startswith("runner-agent/"):
            self.programs.append(Program(f"{BUILD}/bin/sim", ["--seeds", str(SEEDS)]))
        self.target = f"{BUILD}/obj/{Path(name).with_suffix('.o')}"
        self.compile = command_for(self.target, name)

    def object_of(self, text: str, folder: Path) -> bytes | None:
        """Compile a text; give the code, or nothing where the compiler has something to say."""
        folder.mkdir(exist_ok=True)
        source, target = folder / "mutant.c", folder / "mutant.o"
        source.write_text(text)
        command = [*self.compile, "-Werror", "-iquote", str(Path(self.name).parent)]
        command[command.index(self.name)] = source.name
        command[command.index(self.target)] = target.name
        quote = [str(Path(word).absolute()) if Path(word).is_dir() else word for word in command]
        shell = f"cd {shlex.quote(str(folder))} && exec {shlex.join(quote)}"
        return target.read_bytes() if run(["sh", "-c", shell]) else None

    def failing(self, mutant: Path) -> str:
        """Name the first program that fails with an object file."""
        for program in self.programs:
            if not program.passes(mutant):
                return Path(program.target).name
        return ""

    def changed(self, mutant: str) -> tuple[int, str, str]:
        """Give the first line that differs: its number, and what it was and is."""
        pairs = zip(self.original.splitlines(), mutant.splitlines(), strict=False)
        for number, (old, new) in enumerate(pairs, 1):
            if old != new:
                return number, old.strip(), new.strip()
        return 0, "", ""

    def difference(self, mutant: str) -> str:
        """Give the line that differs, as `NUMBER: TEXT`."""
        number, old, new = self.changed(mutant)
        return f"{number}: {old} -> {new}"

    def mutants(self) -> list[str]:
        """List all mistakes that can be put into the file, in the order in which they are tried."""
        folder = self.folder / "all"
        folder.mkdir()
        command = [MUTATE.absolute(), Path(self.name).absolute(), "c"]
        command += ["--noCheck", "--mutantDir", folder.absolute()]
        # It leaves a file where it runs.
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)
        texts = {path.read_text() for path in folder.iterdir()} - {self.original}
        once = {self.difference(text): text for text in sorted(texts)}
        differences = sorted(once, key=lambda what: hashlib.sha256(what.encode()).hexdigest())
        return [once[what] for what in differences if decides(*self.changed(once[what])[1:])]


class Score:
    """What became of the mistakes of one file."""

    def __init__(self, file: File, wanted: int, equivalent: set[str]):
        self.file, self.wanted, self.equivalent = file, wanted, equivalent
        self.killed = self.simulated = self.survived = self.same = 0
        self.all = file.mutants()
        self.texts = iter(self.all)
        self.codes = {file.code}
        self.lock = threading.Lock()

    def run(self, jobs: int) -> None:
        """Try the mistakes, some at a time."""
        with ThreadPoolExecutor(jobs) as pool:
            for worker in [pool.submit(self._worker, number) for number in range(jobs)]:
                worker.result()

    def _worker(self, number: int) -> None:
        folder = self.file.folder / str(number)
        while text := self._next():
            code = self.file.object_of(text, folder)
            if not self._is_new(code):
                continue
            self._count(text, self.file.failing(folder / "mutant.o"))

    def _next(self) -> str | None:
        with self.lock:
            self.wanted -= 1
            return next(self.texts, None) if self.wanted >= 0 else None

    def _is_new(self, code: bytes | None) -> bool:
        """Tell whether it is code that was not tried yet; another mutant takes its place if not."""
        with self.lock:
            is_new = code is not None and code not in self.codes
            self.codes.add(code or b"")
            self.wanted += not is_new
            return is_new

    def _count(self, text: str, program: str) -> None:
        what = self.file.difference(text)
        known = f"{self.file.name}: {what.split(': ', 1)[1]}" in self.equivalent
        with self.lock:
            self.killed += bool(program)
            self.simulated += program == "sim"
            self.same += not program and known
            self.survived += not program and not known
            if not program and not known:
                print(f"  survived {self.file.name}:{what}", flush=True)

    def __str__(self) -> str:
        score = 100 * self.killed // max(1, self.killed + self.survived)
        tried = self.killed + self.survived + self.same
        return (
            f"{self.file.name:32} {tried:3} tried {self.killed:3} killed ({self.simulated} by the"
            f" simulation) {self.survived:3} survived {self.same:3} equivalent {score:4} %"
        )


def gone(equivalent: set[str]) -> list[str]:
    """List the rows of mutants.equivalent whose line is in its file no longer: they can go."""
    rows = []
    for row in sorted(equivalent):
        name, _, what = row.partition(": ")
        if what.split(" -> ")[0].strip() not in Path(name).read_text():
            rows.append(row)
    return rows


def main() -> int:
    """Tries all files, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutants", type=int, default=12, help="how many of each file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("files", nargs="*", default=list(FILES))
    options = parser.parse_args()
    lines = EQUIVALENT.read_text().splitlines()
    equivalent = {line.split(" # ")[0] for line in lines if " # " in line and line[0] != "#"}
    for row in gone(equivalent):
        print(f"{EQUIVALENT}: the line is gone: {row}", flush=True)
    for name in options.files:
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            score = Score(File(name, Path(folder)), options.mutants, equivalent)
            score.run(options.jobs)
        print(score, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
