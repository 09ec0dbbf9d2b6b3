# SPDX-License-Identifier: MIT
"""4. The agent at its end: interrupted, cleaning up, reporting, shutting down."""

from __future__ import annotations

import signal
import time

import pytest
from floor import ENDS, HANGS, LISTENS, PATIENT, STARTS, STUBBORN, assert_ended_well
from helpers import LABELS, REPOSITORY

from cloud.faults import Cut, Error, Throttle
from cloud.limits import until
from cloud.machines.machine import SHUT_DOWN
from cloud.serve import iso

# -- interruptions ----------------------------------------------------------------------------


def test_a_spot_notice_in_the_middle_of_a_job(floor):
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS, behaviour="hang")
    floor.put().switch_on()
    assert floor.says("Running job")
    at = time.time() + 60
    floor.machine.metadata.notice(at)
    floor.ended()
    report = floor.report("ready", "job_started", "interrupted")
    assert iso(at)[:19] in report["reason"]
    assert report["job"]["id"] == 7
    assert job.conclusion == "cancelled"
    assert_ended_well(floor)


def test_a_spot_notice_leaves_no_time_for_patience(floor):
    floor.configure(stop_grace_seconds=60)
    floor.script(STUBBORN, LISTENS, STARTS, HANGS).put().switch_on()
    assert floor.says("Running job")
    floor.machine.metadata.notice(time.time() + 10)
    started = time.monotonic()
    floor.ended()
    assert time.monotonic() - started < 50  # of the usual 60
    floor.report("ready", "job_started", "interrupted")


def test_after_a_spot_notice_the_last_steps_of_a_job_have_the_time_that_is_left(floor):
    last_steps = f"last() {{ sleep 2; {ENDS}; exit 0; }}"
    floor.configure(stop_grace_seconds=1)
    floor.script(LISTENS, last_steps, "trap last INT", STARTS, HANGS)
    floor.put().switch_on()
    assert floor.says("Running job")
    floor.machine.metadata.notice(time.time() + 120)
    floor.ended()
    assert floor.report("ready", "job_started", "interrupted")["reason"]
    assert "result: Succeeded" in floor.text()
    assert "it is killed" not in floor.text()


def test_a_limit_does_not_lengthen_the_time_until_the_instance_goes(floor):
    floor.configure(stop_grace_seconds=60)
    floor.script(STUBBORN, LISTENS, STARTS, HANGS).put(job_limit_seconds=2).switch_on()
    assert floor.says("Running job")
    started = time.monotonic()
    floor.machine.metadata.notice(time.time() + 13)
    floor.ended()
    assert floor.reports()[-1]["stage"] in ("interrupted", "failed")
    assert time.monotonic() - started < 50  # of the usual 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_agent_is_told_to_end(floor, number):
    job = floor.cloud.github.queue_job(REPOSITORY, LABELS, behaviour="hang")
    floor.put().switch_on()
    assert floor.says("Running job")
    floor.machine.agent.send_signal(number)
    floor.ended()
    assert number.name in floor.report("ready", "job_started", "interrupted")["reason"]
    assert job.conclusion == "cancelled"
    assert_ended_well(floor)


def test_who_is_told_to_end_after_the_job_has_finished_it(floor):
    floor.configure(stop_grace_seconds=90).script(
        PATIENT, LISTENS, STARTS, ENDS, HANGS
    ).put().switch_on()
    assert until(lambda: floor.machine.status_text == "The job is done")
    floor.machine.agent.send_signal(signal.SIGTERM)
    floor.ended()
    assert floor.report("ready", "job_started", "finished")["result"] == "Succeeded"
    assert "Exiting..." in floor.text()
    assert_ended_well(floor)


def test_who_is_told_to_end_as_the_runner_listens_reports_both(floor):
    floor.script(PATIENT, LISTENS, HANGS).put().switch_on()
    assert until(lambda: floor.machine.status_text == "Waiting for a job")
    floor.machine.agent.send_signal(signal.SIGTERM)
    floor.ended()
    floor.report("ready", "interrupted")
    assert_ended_well(floor)


def test_a_job_that_starts_at_once_is_reported_with_one_call(floor):
    floor.script(LISTENS, STARTS, ENDS).put().run()
    floor.report("ready", "job_started", "finished")
    calls = floor.cloud.calls.of("events", "PutEvents")
    assert [len(call.parameters["Entries"]) for call in calls] in ([2, 1], [3])


def test_a_second_signal_leaves_no_time(floor):
    floor.configure(stop_grace_seconds=90)
    floor.script(STUBBORN, LISTENS, STARTS, HANGS).put().switch_on()
    assert floor.says("Running job")
    floor.machine.agent.send_signal(signal.SIGTERM)
    assert floor.says("stopping the runner")
    started = time.monotonic()
    floor.machine.agent.send_signal(signal.SIGTERM)
    floor.ended()
    assert time.monotonic() - started < 60
    floor.report("ready", "job_started", "interrupted")
    assert "it is killed" in floor.text()
    assert_ended_well(floor)


def test_the_agent_is_told_to_end_while_it_waits(floor):
    floor.switch_on()
    assert until(lambda: "ready" in floor.stages())
    floor.machine.agent.send_signal(signal.SIGTERM)
    floor.ended()
    floor.report("interrupted")
    assert_ended_well(floor)


# -- clean up, report, shut down --------------------------------------------------------------


def test_the_parameter_stays_until_a_job_has_started_and_that_is_reported(floor):
    rule = floor.cloud.faults.add("events", "PutEvents", skip=1, fault=Throttle())
    floor.script(
        PATIENT, LISTENS, "until test -e go; do sleep 0.1; done", STARTS, HANGS
    ).put().switch_on()
    assert until(lambda: floor.reports())
    assert floor.cloud.parameters() == [floor.name]
    (floor.machine.directory / "runner" / "go").touch()
    assert floor.says("Running job")
    assert until(lambda: rule.hits > 2)  # EventBridge has refused the report more than once
    assert floor.cloud.parameters() == [floor.name]
    floor.cloud.faults.clear()
    assert until(lambda: floor.cloud.parameters() == [])
    assert floor.machine.agent.poll() is None


def test_deleting_is_tried_again_when_throttled(floor):
    floor.cloud.faults.add("ssm", "DeleteParameter", times=3, fault=Throttle())
    floor.script(LISTENS, STARTS, "sleep 3", ENDS).put().run()
    assert_ended_well(floor)


def test_deleting_that_never_works_does_not_keep_the_machine(floor):
    floor.cloud.faults.add("ssm", "DeleteParameter", fault=Throttle())
    floor.script(LISTENS, STARTS, ENDS).put().run()
    report = floor.report("ready", "job_started", "finished")
    assert "hand_over_deleted" not in report
    assert time.time() * 1000 - report["times"]["finished"] < 60000
    assert floor.machine.reason == SHUT_DOWN
    assert floor.cloud.parameters() == [floor.name]
    assert "left behind" in floor.text()


def test_a_deletion_whose_answer_was_lost_is_a_deletion(floor):
    floor.cloud.faults.add("ssm", "DeleteParameter", times=1, fault=Cut(before=False))
    floor.script(LISTENS, STARTS, "sleep 1", ENDS).put().run()
    assert "left behind" not in floor.text()
    assert_ended_well(floor)


def test_a_parameter_is_not_looked_for_again(floor):
    works = "while ! test -e now; do sleep 0.05; done"
    floor.script(LISTENS, STARTS, works, ENDS).put().switch_on()
    assert until(lambda: floor.cloud.parameters() == [])
    (floor.machine.directory / "runner" / "now").touch()
    floor.ended()
    calls = [call.action for call in floor.cloud.calls.of("ssm")]
    assert calls.count("DeleteParameter") == 1
    assert calls[-1] == "DeleteParameter"
    assert floor.reports()[-1]["hand_over_deleted"] is True


def test_reports_are_sent_in_order_though_events_fail(floor):
    floor.cloud.faults.add("events", "PutEvents", times=2, fault=Throttle())
    floor.cloud.faults.add("events", "PutEvents", times=1, fault=Cut())
    floor.cloud.faults.add("events", "PutEvents", times=1, fault=Error("InternalFailure", 500))
    floor.script(LISTENS, STARTS, ENDS).put().run()
    floor.report("ready", "job_started", "finished")
    assert_ended_well(floor)


def test_reports_that_are_never_taken_do_not_keep_the_machine(floor):
    floor.cloud.faults.add("events", "PutEvents", fault=Error("InternalFailure", 500))
    floor.script(LISTENS, STARTS, ENDS).put().switch_on()
    assert floor.says("result: Succeeded")
    started = time.monotonic()
    floor.ended()
    assert time.monotonic() - started < 60
    assert "report not sent" in floor.text()
    assert_ended_well(floor)


def test_a_shutdown_that_fails_is_left_to_systemd(floor):
    floor.script(LISTENS, "rm -f ../bin/shutdown; printf '#!/bin/sh\\nexit 3' >../bin/shutdown")
    floor.machines.setup.config["runner"]["command"][-1] += (
        f"\nchmod +x ../bin/shutdown\n{STARTS}\n{ENDS}"
    )
    floor.put().run()
    assert "FailureAction=poweroff: exit code 1" in floor.machine.reason
    assert "cannot shut down" in floor.text()
    assert floor.cloud.parameters() == []


def test_by_hand_the_machine_stays_on(floor):
    floor.script(LISTENS, STARTS, ENDS).put().switch_on("--no-shutdown")
    assert until(lambda: "still on" in floor.stages())
    assert "shutdown" not in floor.stages()
    floor.report("ready", "job_started", "finished")
    assert floor.cloud.parameters() == []
