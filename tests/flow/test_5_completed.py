# SPDX-License-Identifier: MIT
"""completed: how long a job ran, and machines that do not end themselves."""

from __future__ import annotations

from helpers import (
    batch,
    complaints,
    configure,
    failures,
    job_message,
    log,
    metrics,
    now_ms,
    queued,
)

from cloud.faults import Error


def completed(cloud, *jobs, **options):
    return failures(cloud.invoke("completed", batch(cloud, "CompletedQueue", *jobs, **options)))


def ended(number=1, runner="i-0123456789abcdef0", runner_id=23, ran_ms=90_000, **changes):
    times = {"started_ms": now_ms() - ran_ms - 1000, "completed_ms": now_ms() - 1000}
    members = times | {"action": "completed", "conclusion": "success"} | changes
    return job_message(number, runner_name=runner, runner_id=runner_id, **members)


def launched(cloud, count=1):
    """Launch and hand over; gives instance ids with their runners."""
    assert queued(cloud, *(job_message(number) for number in range(1, count + 1))) == []
    return {runner.name: runner for runner in cloud.github.registry.runners.values()}


def test_run_time_is_measured(stage):
    times = {"started_ms": 1_700_000_000_000, "completed_ms": 1_700_000_090_000}
    assert completed(stage, ended(6, conclusion="failure", **times)) == []
    (document,) = metrics(stage, "completed", "RunTime")
    assert document["RunTime"] == 90_000
    assert (document["spec"], document["job"]) == ("linux-x64", 6)
    assert document["instance"] == "i-0123456789abcdef0"
    assert document["conclusion"] == "failure"


def test_a_job_that_never_ran_is_no_run_time(stage):
    jobs = [ended(1, runner="", runner_id=0), ended(2, runner=None, runner_id=None)]
    jobs += [ended(3, started_ms=None), ended(4, completed_ms=5)]
    assert completed(stage, *jobs) == []
    assert metrics(stage, "completed", "RunTime") == []
    assert [line["message"] for line in log(stage, "completed")].count("job completed") == 4


def test_the_right_messages_come_again(stage):
    jobs = [ended(1, runner=""), ended(2, runner="my-server"), "{}"]
    assert completed(stage, *jobs) == ["message-3"]


def test_a_job_that_succeeded_costs_no_call(stage):
    assert completed(stage, ended(1)) == []
    before = len(stage.calls)
    assert completed(stage, *(ended(number) for number in range(2, 12))) == []
    assert len(stage.calls) == before


# -- terminate_on_completed ------------------------------------------------------------------------


def test_a_machine_is_left_to_end_itself(stage):
    ((name, runner),) = launched(stage).items()
    assert completed(stage, ended(runner=name, runner_id=runner.id)) == []
    assert len(stage.instances()) == 1
    assert len(stage.github.left()) == 1


def test_a_machine_is_ended_where_its_image_does_not_do_it(stage):
    configure(stage, terminate_on_completed=True)
    ((name, runner),) = launched(stage).items()
    assert completed(stage, ended(runner=name, runner_id=runner.id)) == []
    assert (stage.instances(), stage.github.left()) == ([], [])
    assert completed(stage, ended(runner=name, runner_id=runner.id)) == []  # delivered twice


def test_a_machine_whose_runner_took_another_job_stays(stage):
    configure(stage, terminate_on_completed=True)
    ((name, runner),) = launched(stage).items()
    runner.busy = True
    assert completed(stage, ended(runner=name, runner_id=runner.id)) == []
    assert len(stage.instances()) == len(stage.github.left()) == 1
    assert stage.calls.of("ec2", "TerminateInstances") == []
    assert "its machine stays" in str(log(stage, "completed"))


def test_a_job_without_a_runner_ends_no_machine(stage):
    configure(stage, terminate_on_completed=True)
    launched(stage)
    asked = len(stage.github.api.calls)
    jobs = [ended(1, runner="", runner_id=0), ended(2, runner="my-server"), ended(3, spec=None)]
    assert completed(stage, *jobs) == []
    assert len(stage.instances()) == 1
    assert len(stage.github.api.calls) == asked


def test_a_machine_is_not_ended_before_its_runner_is_gone(stage):
    configure(stage, terminate_on_completed=True)
    ((name, runner),) = launched(stage).items()
    stage.faults.add("github", "actions/delete-*", fault=Error("", 403, "Resource not accessible"))
    job = ended(9, runner=name, runner_id=runner.id)
    assert completed(stage, job) == ["message-1"]
    assert f"job 9, instance {name}" in complaints(stage, "completed")
    assert len(stage.instances()) == 1
    stage.faults.clear()
    assert completed(stage, job, receives=2) == []
    assert stage.instances() == []


def test_a_token_that_was_taken_back_is_replaced(stage):
    configure(stage, terminate_on_completed=True)
    runners = launched(stage, 2).items()
    first, second = (ended(runner=name, runner_id=runner.id) for name, runner in runners)
    assert completed(stage, first) == []
    stage.github.doorman.revoke_all()
    assert completed(stage, second) == ["message-1"]
    assert completed(stage, second, receives=2) == []
    assert (stage.instances(), stage.github.left()) == ([], [])
