# SPDX-License-Identifier: MIT
"""4. The agent when no job comes: it never interrupts a runner that may just have got one.

It reports that it idles, and goes on listening. When the scaler has deregistered the runner, which
shows by the end of the parameter, and the grace is over without a worker, it stops the runner.
"""

from __future__ import annotations

import time

from floor import ENDS, HANGS, LISTENS, PATIENT, STARTS, Floor, assert_ended_well, assert_failed
from helpers import LABELS, REPOSITORY

from cloud.faults import Error, Throttle
from cloud.limits import until

# A process that /proc shows as GitHub's does, started before the runner says that it has a job.
WORKER = "cp /bin/sleep Runner.Worker; ./Runner.Worker 300 & worker=$!"


def looks(floor: Floor) -> int:
    """Count how often the parameter was looked for since the machine got it."""
    return len(floor.cloud.calls.of("ssm", "GetParameter"))


def test_a_job_that_comes_in_the_second_of_the_idle_limit_runs_to_its_end(floor):
    floor.put(idle_limit_seconds=1).switch_on().idles()
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS)
    floor.ended()
    assert floor.report("ready", "idle", "job_started", "finished")["result"] == "Succeeded"
    assert job.conclusion == "success"
    assert_ended_well(floor)


def test_a_job_that_was_on_its_way_when_the_runner_was_deregistered_runs_to_its_end(floor):
    late = "while ! test -e now; do sleep 0.05; done"
    floor.configure(idle_grace_seconds=600)
    floor.script(LISTENS, late, STARTS, "sleep 2", ENDS)
    floor.put(idle_limit_seconds=1).switch_on().deregister()
    assert floor.says("the runner is deregistered")
    (floor.machine.directory / "runner" / "now").touch()
    floor.ended()
    assert floor.report("ready", "idle", "job_started", "finished")["result"] == "Succeeded"
    assert_ended_well(floor)


def test_a_runner_with_a_worker_is_not_interrupted_though_it_has_not_said_so(floor):
    late = "while ! test -e now; do sleep 0.05; done"
    floor.script(LISTENS, WORKER, late, STARTS, ENDS, "kill $worker")
    floor.put(idle_limit_seconds=1).switch_on().deregister()
    assert floor.says("the runner has a worker")
    (floor.machine.directory / "runner" / "now").touch()
    floor.ended()
    floor.report("ready", "idle", "job_started", "finished")
    assert_ended_well(floor)


def test_a_worker_that_has_ended_does_not_keep_the_machine(floor):
    floor.script(PATIENT, LISTENS, WORKER, "kill $worker; wait", HANGS)
    floor.put(idle_limit_seconds=1).switch_on().deregister().ended()
    assert_failed(floor, "no job within 1 s", stages=("ready", "idle", "failed"))
    assert "the runner has a worker" not in floor.text()


def test_the_runner_is_stopped_no_sooner_than_the_grace_allows(floor):
    floor.configure(idle_grace_seconds=3).script(PATIENT, LISTENS, HANGS)
    floor.put(idle_limit_seconds=1).switch_on().deregister()
    assert floor.says("the runner is deregistered")
    at = time.time()
    floor.ended()
    assert floor.reports()[-1]["times"]["finished"] >= (at + 2) * 1000
    assert_failed(floor, "no job within 1 s", stages=("ready", "idle", "failed"))


def test_a_runner_that_is_not_deregistered_goes_on_listening(floor):
    floor.script(LISTENS, "while ! test -e now; do sleep 0.05; done", STARTS, ENDS)
    floor.put(idle_limit_seconds=1).switch_on().idles()
    seen = looks(floor)
    assert until(lambda: looks(floor) > seen + 3)
    assert "stopping the runner" not in floor.text()
    (floor.machine.directory / "runner" / "now").touch()
    floor.ended()
    floor.report("ready", "idle", "job_started", "finished")
    assert_ended_well(floor)


def test_the_report_comes_again_when_nobody_answers(floor):
    floor.script(PATIENT, LISTENS, HANGS).put(idle_limit_seconds=1).switch_on()
    assert until(lambda: [r["stage"] for r in floor.reports()].count("idle") == 2)
    floor.deregister().ended()
    assert_failed(floor, "no job within 1 s", stages=("ready", "idle", "idle", "failed"))


def test_without_eventbridge_the_runner_listens_and_takes_its_job(floor):
    floor.cloud.faults.add("events", "PutEvents", fault=Error("InternalFailure", 500))
    floor.put(idle_limit_seconds=1).switch_on()
    assert floor.says("no job came")
    seen = looks(floor)
    assert until(lambda: looks(floor) > seen + 3)
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=2)
    assert until(lambda: job.state == "in_progress")
    floor.cloud.faults.clear()
    floor.ended()
    assert job.conclusion == "success"
    # Nobody hears that the machine idled, since it no longer does.
    assert floor.report("ready", "job_started", "finished")["result"] == "Succeeded"


def test_ssm_that_is_throttled_is_asked_less_often_and_ends_nothing(floor):
    floor.script(PATIENT, LISTENS, HANGS).put(idle_limit_seconds=1).switch_on().idles()
    floor.cloud.faults.add("ssm", "GetParameter", fault=Throttle())

    def refused() -> int:
        return len([call for call in floor.cloud.calls.of("ssm", "GetParameter") if call.error])

    assert until(lambda: refused() >= 2)
    assert "stopping the runner" not in floor.text()
    floor.cloud.faults.clear()
    floor.deregister().ended()
    assert_failed(floor, "no job within 1 s", stages=("ready", "idle", "failed"))


def test_a_machine_that_nobody_deregisters_ends_when_a_job_would_have_to(floor):
    floor.script(PATIENT, LISTENS, HANGS).put(idle_limit_seconds=1, job_limit_seconds=3).run()
    assert_failed(floor, "no job within 1 s", stages=("ready", "idle", "failed"))
    assert "nobody has deregistered the idle runner" in floor.text()


def test_a_runner_that_ends_when_it_is_deregistered_ends_its_machine(floor):
    floor.put(idle_limit_seconds=1).switch_on().idles()
    floor.cloud.github.broker.expel(floor.runner)
    floor.ended()
    assert_failed(floor, "no job within 1 s: the runner ended", stages=("ready", "idle", "failed"))
