# SPDX-License-Identifier: MIT
"""queued, what becomes of messages: parked, delivered again, given up, and never mixed up."""

from __future__ import annotations

from helpers import (
    RUN,
    attributes,
    batch,
    complaints,
    configure,
    failures,
    forget,
    handed_over,
    job_message,
    job_url,
    ladder,
    log,
    metrics,
    now_ms,
    queued,
    sent,
    told,
)

from cloud.faults import Capacity, Error
from cloud.limits import until


def test_jobs_without_capacity_are_parked_and_told_once(stage):
    stage.faults.add(*RUN, fault=Capacity())
    assert queued(stage, job_message(1), job_message(2), job_message(3)) == []
    assert queued(stage, job_message(4)) == []
    parked = sent(stage, "ParkedQueue")
    assert [message["Body"]["id"] for message in parked] == [1, 2, 3, 4]
    # For the fourth EC2 was not asked again, so that was no try.
    assert [message["Body"].get("tries", 0) for message in parked] == [1, 1, 1, 0]
    assert {message["DelaySeconds"] for message in parked} == {30}
    assert stage.messages() == {"ParkedQueue": 4, "NotifyQueue": 1}
    notification = told(stage)[0]
    assert notification["title"] == "Jobs of spec linux-x64 wait: no capacity"
    assert notification["facts"]["Jobs of this batch"] == "3"
    assert notification["url"] == job_url(1)
    assert len(metrics(stage, "queued", "Parked")) == 4


def test_parked_jobs_show_how_long_they_have_waited_since_github_queued_them(stage):
    """Parking resets the age that SQS counts."""
    stage.faults.add(*RUN, fault=Capacity())
    before = now_ms()
    assert queued(stage, job_message(1, queued_ms=before - 7_200_000)) == []
    (shown,) = metrics(stage, "queued", "WaitingAge")
    assert 7_200_000 <= shown["WaitingAge"] <= 7_200_000 + now_ms() - before
    assert queued(stage, job_message(2, queued_ms=0)) == []  # unknown: not as old as time
    assert len(metrics(stage, "queued", "Parked")) == 2
    assert len(metrics(stage, "queued", "WaitingAge")) == 1


def test_a_parked_job_waits_longer_each_time_and_ends_when_github_has_it_no_longer(stage):
    stage.faults.add(*RUN, fault=Capacity())
    delays = []
    for tries in (0, 1, 4, 5, 40):
        assert queued(stage, job_message(tries=tries)) == []
        delays.append(sent(stage, "ParkedQueue")[-1]["DelaySeconds"])
    assert delays == [30, 60, 480, 900, 900]
    old = job_message(2, queued_ms=now_ms() - 86_400_001)  # approved only a moment ago
    assert queued(stage, old) == []
    assert len(sent(stage, "ParkedQueue")) == 6
    stage.github.jobs.cancel(next(job for job in stage.github.jobs.all if job.id == 2))
    assert queued(stage, sent(stage, "ParkedQueue")[-1]["Body"]) == []
    assert len(sent(stage, "ParkedQueue")) == 6
    assert log(stage, "queued")[-1]["message"].startswith("job waits no longer")


def test_a_parked_job_is_launched_when_there_is_capacity(cloud, run_scaler):
    configure(cloud, instance_types=["m7i.48xlarge"], shared_labels=True)
    cloud.hurry = 30
    tries = 2 * len(ladder(run_scaler, "m7i.48xlarge"))
    cloud.faults.add(*RUN, times=tries, fault=Capacity())
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "m7i.48xlarge"])
    assert until(lambda: sent(cloud, "ParkedQueue"))
    forget(cloud, "queued")  # that there was no capacity is remembered by a warm process
    assert until(lambda: job.state == "completed")


def test_a_message_that_cannot_be_read_does_not_hold_up_the_others(stage):
    bodies = ["", "{", "[]", '{"action":"queued","id":1}', job_message(5, labels="linux")]
    answer = queued(stage, *bodies, job_message(6))
    assert answer == [f"message-{number}" for number in range(1, 6)]
    assert handed_over(stage) == [6]


def test_a_job_whose_spec_is_gone_fails_by_itself(stage):
    gone = job_message(1, spec="gone", labels=["nobody"])
    assert queued(stage, gone, job_message(2)) == ["message-1"]
    words = 'job 1: its spec \\"gone\\" is not in the configuration any more'
    assert words in complaints(stage, "queued")
    assert handed_over(stage) == [2]


def test_a_job_that_is_in_a_batch_twice_gets_one_instance(stage):
    assert queued(stage, job_message(1), job_message(1), job_message(2)) == []
    assert len(stage.instances()) == 2
    assert handed_over(stage) == [1, 2]


def test_the_last_failure_goes_to_the_dead_letters_with_its_cause(stage):
    stage.faults.add(*RUN, fault=Error("UnauthorizedOperation", 403, "not you"))
    assert queued(stage, job_message(1), receives=3) == ["message-1"]
    assert sent(stage, "DeadLetters") == []
    answer = stage.invoke("queued", batch(stage, "QueuedQueue", job_message(1), receives=4))
    assert failures(answer) == []
    (letter,) = sent(stage, "DeadLetters")
    assert letter["Body"] == job_message(1) | {
        name: letter["Body"][name] for name in ("queued_ms", "webhook_ms")
    }
    assert attributes(letter)["source"] == stage.queue("QueuedQueue").arn
    assert "not you" in attributes(letter)["cause"]


def test_a_failed_message_comes_again_by_itself(cloud):
    cloud.faults.add(*RUN, times=1, fault=Error("InvalidParameterValue", 400))
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"])
    assert until(lambda: job.state == "completed")
    assert cloud.idle()
    assert cloud.left() == []
    assert [line["message"] for line in log(cloud, "queued")].count("launched") == 1
