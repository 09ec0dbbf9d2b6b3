# SPDX-License-Identifier: MIT
"""The demo as a user runs it, and what it would say on a bad day."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from cloud.aws.wire import Call
from cloud.demo.failover import Failover
from cloud.demo.paint import Painter
from cloud.demo.show import FAILED, MISUSED, OK, Demo, arguments, main
from cloud.demo.story import Life, Line, _merged
from cloud.github.jobs import Job
from cloud.limits import PATIENCE
from cloud.machines.processes import is_running
from cloud.settings import BUILD
from cloud.tally import Tally

ROOT = Path(__file__).resolve().parents[3]
PLAIN = {"NO_COLOR": "1", "TERM": "xterm"}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def start(build, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cloud.demo", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"BUILD": str(build)},
    )


def show(build, *words, limit=PATIENCE):
    process = start(build, *words, "--limit", str(limit))
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output


@pytest.fixture
def build(tmp_path):
    """A build folder with the programs, and without what earlier showings left."""
    for name in ("scaler", "runner-agent"):
        assert (BUILD / "bin" / name).is_file(), f"{name} is not built: run `make`"
    (tmp_path / "bin").symlink_to((BUILD / "bin").absolute())
    return tmp_path


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--jobs", "0"], "'0' is not a number from 1 to 200"),
        (["--jobs", "many"], "'many' is not a number from 1 to 200"),
        (["--faults", "capacity,rain"], "there is no fault 'rain'; there are: capacity, throttle"),
        (["--nothing"], "unrecognized arguments: --nothing"),
    ],
)
def test_wrong_options_are_named(words, complaint, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == MISUSED
    assert complaint in capsys.readouterr().err


def test_options_may_be_empty_as_make_passes_them():
    assert arguments(["--jobs", "2", "--faults", ""]).faults == []
    assert arguments(["--faults", "capacity, throttle"]).faults == ["capacity", "throttle"]


def test_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("cloud.demo.show.BUILD", tmp_path)
    stream = io.StringIO()
    assert Demo(arguments([]), Painter(stream)).run() == FAILED
    assert "scaler is missing: build it with `make`" in stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), PLAIN, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals(stream, environment, coloured, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    Painter(stream).say("1 job served", "good")
    assert ("\x1b[32m" in stream.getvalue()) == coloured


def test_table_and_calls():
    job = Job(1, 2, "octo-org/one", [], "build-1", created=100.0)
    job.started, job.completed = 102.0, 103.5
    other = Job(3, 4, "octo-org/one", [], "build-2", created=100.0)
    lives = [Life(job, 100.0, "i-1", "m7i.large", "spot", 104.25), Life(other, 100.0)]
    stream = io.StringIO()
    Painter(stream).table(lives)
    stages = {"queued": Counter(RunInstances=1), "agent": Counter(GetParameter=2, PutEvents=4)}
    Painter(stream).calls(2, Tally(stages, starts=5, github=3, github_starts=1, polls=8))
    assert stream.getvalue().splitlines() == [
        "job      instance  type       market  to start     run  to machine off",
        "build-1  i-1       m7i.large  spot      2.00 s  1.50 s          4.25 s",
        "build-2  -         -          -              -       -               -",
        "median                                  2.00 s  1.50 s          4.25 s",
        "Calls per job: AWS 3.5, GitHub 1.5",
        "  queued       0.5  RunInstances 0.5",
        "  agent        3.0  GetParameter 1.0, PutEvents 2.0",
        "Beside them: when functions start, AWS 2.5, GitHub 0.5; Lambda's polls 4.0",
    ]


def test_equal_lines_of_no_job_are_counted():
    job = Job(1, 2, "octo-org/one", [])
    lines = [Line(1, None, "fault", "a"), Line(2, job, "queued", "b"), Line(3, None, "fault", "a")]
    merged = _merged([*lines, Line(4, job, "queued", "b")])
    assert [line.text for line in merged] == ["a (x2)", "b", "b"]


def test_one_job_from_webhook_to_shutdown(build):
    code, output = show(build)
    assert code == OK, output
    stages = re.findall(r"^ +\d+\.\d\d s  build  (\w+(?: \w+)?)", output, re.MULTILINE)
    wanted = ["queued", "launched", "handed over", "agent up", "listening", "job started"]
    assert set(wanted) < set(stages)
    assert stages[-2:] == ["job done", "machine off"]
    last = output.splitlines()[-1]
    assert last == "1 job served, nothing left: no instance, no parameter, no message, no runner"
    assert "\x1b" not in output


def test_failover_is_shown_and_every_job_is_served_once(build):
    code, output = show(build, "--jobs", "6", "--faults", "capacity,throttle,duplicate")
    assert code == OK, output
    assert "no capacity for m7i.large in zone 1a; next: m7i.large in zone 1b" in output
    assert output.count("job started") == 6
    assert output.splitlines()[-1].startswith("6 jobs served, nothing left")


def test_time_that_is_over_is_a_failure_with_reasons(build):
    code, output = show(build, limit=0.1)
    assert code == FAILED, output
    assert "never ran (still queued)" in output
    assert "All logs are in" in output
    assert output.splitlines()[-1].startswith("0 of 1 jobs served")


def test_interrupt_leaves_no_process(build):
    process = start(build, "--jobs", "3")
    assert process.stdout is not None
    for line in process.stdout:
        if "agent up" in line:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Stopping" in rest
    assert "Traceback" not in rest
    found = [path for path in Path("/proc").glob("[0-9]*/cwd") if _leads_to(path, str(build))]
    assert [path for path in found if is_running(int(path.parent.name))] == []
    assert list(build.iterdir()) == [build / "bin"]


def _leads_to(path, directory):
    try:
        return str(path.readlink()).startswith(directory)
    except OSError:
        return False


def test_next_try_of_a_refused_launch_is_found():
    def see(at, kind, subnet, error="", count="2"):
        parameters = {"InstanceType": kind, "SubnetId": subnet, "MaxCount": count}
        parameters["Market"] = "spot"
        call = Call("ec2", "RunInstances", parameters, "", time=at, error=error)
        return str(failover.see(call) or "")

    failover = Failover({"subnet-1": "eu-central-1a", "subnet-2": "eu-central-1b"})
    gone = "InsufficientInstanceCapacity"
    assert see(1, "m7i.large", "subnet-1", gone) == ""
    assert see(2, "m7i.large", "subnet-1", gone, "5") == ""
    assert see(3, "m7i.large", "subnet-2", gone) == (
        "no capacity for m7i.large in zone 1a; next: m7i.large in zone 1b"
    )
    assert see(4, "m7a.large", "subnet-1") == (
        "no capacity for m7i.large in zone 1b; next: m7a.large in zone 1a"
    )
    assert [str(one) for one in failover.unanswered(9)] == ["no capacity for m7i.large in zone 1a"]
