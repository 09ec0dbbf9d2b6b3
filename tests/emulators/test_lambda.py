# SPDX-License-Identifier: MIT
"""Each function answers an event under AWS's own runtime interface emulator."""

from __future__ import annotations

import json

import pytest
from helpers import batch, handed_over, job_message, now_ms, parameter, sent, told

from cloud.aws.function_url import event_of
from cloud.github.jobs import Job
from cloud.hooks import ENDED
from cloud.serve import Request

NOTHING_FAILED = {"batchItemFailures": []}


def delivery(cloud, number=41):
    """The event of a function URL for a signed delivery."""
    job = Job(number, 42, "octo-org/one", ["self-hosted", "linux", "x64"])
    body = json.dumps(cloud.github.webhooks.body(job, "queued")).encode()
    made = cloud.github.webhooks.make("workflow_job", "", body)
    headers = {name.lower(): value for name, value in made.headers.items()}
    return event_of(Request("POST", "/", {}, headers, made.body))


def queue(emulate, cloud, *jobs):
    """Launch for jobs, and hand them over; gives the answer to the launch."""
    answer = emulate("queued").invoke(batch(cloud, "QueuedQueue", *jobs))
    launched = [message["Body"] for message in sent(cloud, "RegisterQueue")]
    event = batch(cloud, "RegisterQueue", *launched)
    assert emulate("register").invoke(event) == NOTHING_FAILED
    return answer


@pytest.mark.parametrize("as_argument", [True, False])
def test_webhook_queues_a_signed_delivery(emulate, stage, as_argument):
    answer = emulate("webhook", as_argument).invoke(delivery(stage))
    assert answer["statusCode"] == 202
    assert [message["Body"]["id"] for message in sent(stage, "QueuedQueue")] == [41]


def test_a_process_takes_one_event_after_the_other(emulate, stage):
    webhook = emulate("webhook")
    for number in (1, 2, 3):
        assert webhook.invoke(delivery(stage, number))["statusCode"] == 202
    wrong = delivery(stage)
    wrong["headers"]["x-hub-signature-256"] = "sha256=" + "0" * 64
    assert webhook.invoke(wrong)["statusCode"] == 401
    assert webhook.text().count("exec './bootstrap'") == 1


def test_queued_launches_and_register_hands_over(emulate, stage):
    assert queue(emulate, stage, job_message(7)) == NOTHING_FAILED
    assert handed_over(stage) == [7]


def test_watch_queues_a_parked_job_again(emulate, stage):
    answer = emulate("watch").invoke(batch(stage, "ParkedQueue", job_message(7, stale=1)))
    assert answer == NOTHING_FAILED
    (message,) = sent(stage, "QueuedQueue")
    assert message["Body"]["id"] == 7


def test_queued_names_the_message_that_failed(emulate, stage):
    answer = queue(emulate, stage, "no JSON", job_message(7))
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == ["message-1"]
    assert handed_over(stage) == [7]


def test_in_progress_tags_the_instance(emulate, stage):
    assert emulate("queued").invoke(batch(stage, "QueuedQueue", job_message())) == NOTHING_FAILED
    (name,) = [instance["InstanceId"] for instance in stage.instances()]
    message = job_message(action="in_progress", runner_name=name, started_ms=now_ms())
    answer = emulate("in_progress").invoke(batch(stage, "InProgressQueue", message))
    assert answer == NOTHING_FAILED
    (instance,) = stage.instances()
    assert "scale-agent:job-url" in {tag["Key"] for tag in instance["Tags"]}


def test_completed_leaves_the_hand_over_to_the_machine(emulate, stage):
    queue(emulate, stage, job_message())
    (name,) = [instance["InstanceId"] for instance in stage.instances()]
    times = {"started_ms": now_ms() - 2000, "completed_ms": now_ms()}
    message = job_message(action="completed", runner_name=name, conclusion="success", **times)
    answer = emulate("completed").invoke(batch(stage, "CompletedQueue", message))
    assert answer == NOTHING_FAILED
    assert [path.rpartition("/")[2] for path in stage.parameters()] == [name]


def test_instance_gives_the_job_of_an_ended_machine_back(emulate, stage):
    queue(emulate, stage, job_message())
    (name,) = [instance["InstanceId"] for instance in stage.instances()]
    assert parameter(stage, stage.parameters()[0])["Document"]["job"]["id"] == 1
    detail = {"instance-id": name, "state": "terminated"}
    event = {"source": "aws.ec2", "detail-type": ENDED, "detail": detail, "id": "1"}
    answer = emulate("instance").invoke(batch(stage, "InstanceQueue", event))
    assert answer == NOTHING_FAILED
    assert stage.parameters() == []


def test_dead_letter_tells_people(emulate, stage):
    text = {"dataType": "String", "stringValue": "EC2 said no"}
    event = batch(stage, "DeadLetters", job_message(6), messageAttributes={"cause": text})
    assert emulate("dead_letter").invoke(event) == NOTHING_FAILED
    (notification,) = told(stage)
    assert notification["title"] == "Given up: job 6 of octo-org/one"


def test_notify_posts_nothing_without_a_channel(emulate, stage):
    notification = {"severity": "error", "title": "t", "text": "t", "facts": [], "key": "k"}
    assert emulate("notify").invoke(batch(stage, "NotifyQueue", notification)) == NOTHING_FAILED
