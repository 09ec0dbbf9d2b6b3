# SPDX-License-Identifier: MIT
"""Shows the life of jobs in the local cloud, as it happens: `make demo JOBS=20 FAULTS=capacity`.

It starts the cloud, lets GitHub queue jobs, and tells every stage from what really happened. It
ends with 0 only if every job was served exactly once and nothing is left behind.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from ..cloud import Cloud
from ..fault_sets import SETS
from ..github.jobs import Job
from ..github.stand_in import GitHub
from ..machines.fleet import Machines
from ..settings import BUILD
from ..tally import count as count_calls
from .paint import Painter
from .story import PATIENCE, Story

REPOSITORY = "octo-org/hello-world"
LABELS = ["self-hosted", "linux", "x64"]
PROGRAMS = ("scaler", "runner-agent")
MOST_JOBS = 200
LOOK_SECONDS = 0.05
CLEAN_SECONDS = 60.0
SPOT_SECONDS = 3.0
RUN_SECONDS = (0.6, 1.0, 1.4)
OK, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130


class Stopped(BaseException):
    """Someone pressed Ctrl-C, or ended the demo otherwise."""


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the options; a wrong one ends the program with 2."""
    parser = argparse.ArgumentParser(
        prog="demo", description="Show the life of jobs, from webhook to shutdown."
    )
    parser.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="how many (default 1)")
    parser.add_argument(
        "--faults", type=_faults, default=[], metavar="A,B", help=f"of: {', '.join(SETS)}"
    )
    parser.add_argument("--limit", type=float, default=0, metavar="SECONDS", help="give up after")
    return parser.parse_args(words)


def _jobs(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_JOBS}")
    return int(text)


def _faults(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in SETS:
            allowed = ", ".join(SETS)
            raise argparse.ArgumentTypeError(f"there is no fault {name!r}; there are: {allowed}")
    return names


class Demo:
    """One showing: `run` returns the exit code."""

    def __init__(self, options: argparse.Namespace, painter: Painter) -> None:
        self.options = options
        self.painter = painter
        self.directory: Path | None = None
        self.limit = options.limit or 30 + 3 * options.jobs
        self.cloud: Cloud | None = None
        self.keep = False

    def run(self) -> int:
        """Start the cloud, show the jobs, and judge what is left."""
        missing = [name for name in PROGRAMS if not (BUILD / "bin" / name).is_file()]
        if missing:
            self.painter.say(
                f"{BUILD / 'bin' / missing[0]} is missing: build it with `make`", "bad"
            )
            return FAILED
        self.directory = Path(tempfile.mkdtemp(prefix="demo-", dir=BUILD.absolute()))
        began = time.monotonic()
        self.painter.say("Starting the local cloud: EC2, SQS, SSM, EventBridge, Lambda, GitHub ...")
        cloud = Cloud(make_github=GitHub, make_machines=Machines, directory=self.directory)
        self.cloud = cloud
        cloud.start()
        self._set_up(cloud)
        self.painter.say(f"It is up after {time.monotonic() - began:.1f} s.\n")
        return self._show(cloud)

    def stop(self) -> None:
        """End every process that was started; logs are kept after a failure."""
        if self.cloud is not None:
            self.cloud.stop()
        if self.directory is not None and not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _set_up(self, cloud: Cloud) -> None:
        assert cloud.machines is not None
        cloud.machines.spot_seconds = SPOT_SECONDS
        cloud.hurry = 20.0
        cloud.faults.named(self.options.faults)

    def _show(self, cloud: Cloud) -> int:
        count = self.options.jobs
        faults = f", with faults: {', '.join(self.options.faults)}" if self.options.faults else ""
        what = f"{count} jobs are" if count > 1 else "1 job is"
        self.painter.say(f"{what} queued at GitHub{faults}. Times are since a job's webhook.\n")
        story = self._queue(cloud, count)
        self._follow(cloud, story)
        return self._judge(cloud, story)

    def _queue(self, cloud: Cloud, count: int) -> Story:
        assert cloud.github is not None
        digits = len(str(count))
        jobs = []
        for number in range(1, count + 1):
            name = f"build-{number:0{digits}d}" if count > 1 else "build"
            seconds = RUN_SECONDS[number % len(RUN_SECONDS)]
            job = cloud.github.queue_job(REPOSITORY, LABELS, name=name, run_seconds=seconds)
            jobs.append(job)
        self.painter.width = len(jobs[0].name)
        return Story(cloud, jobs)

    def _follow(self, cloud: Cloud, story: Story) -> None:
        """Show events until all jobs are done and nothing moves, or the time is over."""
        end = time.monotonic() + self.limit
        clean_end = end
        next_look = 0.0
        while time.monotonic() < min(end, clean_end):
            self._tell(story)
            if all(life.job.completed for life in story.lives.values()):
                clean_end = min(clean_end, time.monotonic() + CLEAN_SECONDS)
                if time.monotonic() > next_look:
                    if cloud.idle(0.2) and not cloud.left():
                        break
                    next_look = time.monotonic() + 0.2
            time.sleep(LOOK_SECONDS)
        self._tell(story, PATIENCE)

    def _tell(self, story: Story, later: float = 0.0) -> None:
        for line in story.news(time.time() + later):
            self.painter.line(line, story.since_webhook(line))

    def _judge(self, cloud: Cloud, story: Story) -> int:
        assert cloud.github is not None
        jobs = [life.job for life in story.lives.values()]
        self.painter.say()
        self.painter.table(story.lives.values())
        self.painter.say()
        self.painter.calls(len(jobs), count_calls(cloud))
        unserved = [job for job in jobs if job.conclusion != "success" or len(job.runners) != 1]
        left = cloud.left()
        problems = [self._fate(cloud, job) for job in unserved]
        problems += [f"left behind: {what}" for what in left]
        problems += [f"against GitHub's description: {one}" for one in cloud.github.violations]
        if not problems:
            count = f"{len(jobs)} jobs" if len(jobs) > 1 else "1 job"
            nothing = "no instance, no parameter, no message, no runner"
            self.painter.say(f"{count} served, nothing left: {nothing}", "good")
            return OK
        for problem in problems:
            self.painter.say(problem, "bad")
        self._explain(cloud)
        served = f"{len(jobs) - len(unserved)} of {len(jobs)} jobs served"
        things = f"{len(left)} things left" if len(left) != 1 else "1 thing left"
        self.painter.say(f"{served}, {things if left else 'nothing left'}", "bad")
        return FAILED

    def _fate(self, cloud: Cloud, job: Job) -> str:
        assert cloud.machines is not None
        if not job.runners:
            return f"{job.name}: never ran ({job.conclusion or 'still queued'})"
        machine = cloud.machines.all.get(job.runners[0])
        taken = machine is not None and machine.metadata.instance_action is not None
        why = ", which EC2 took back" if taken else ""
        runners = ", ".join(job.runners)
        return f"{job.name}: {job.conclusion or 'still running'} on {runners}{why}"

    def _explain(self, cloud: Cloud) -> None:
        """Show the last errors that the functions logged, and where everything is kept."""
        self.keep = True
        errors = [f"{who}: {text}" for who, line in list(cloud.logs) if (text := _error(line))]
        for error in errors[-5:]:
            self.painter.say(f"log of {error}", "trouble")
        self.painter.say(f"All logs are in {self.directory}/logs and {self.directory}/machines")


def _error(line: str) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(record, dict) or str(record.get("level")).lower() != "error":
        return ""
    return str(record.get("message") or record.get("msg") or line)[:300]


def _stopped(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)


def main(words: list[str] | None = None) -> int:
    """Run the demo; Ctrl-C ends what it started."""
    options = arguments(sys.argv[1:] if words is None else words)
    painter = Painter()
    demo = Demo(options, painter)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)
    try:
        code = demo.run()
    except Stopped:
        painter.say("\nStopping: the machines and functions are switched off.", "trouble")
        code = INTERRUPTED
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        demo.stop()
    return code
