# SPDX-License-Identifier: MIT
"""Queues and events: batches, partial failures, dead letters, delays, duplicates and rules."""

from __future__ import annotations

import json
import threading
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from cloud.github.stand_in import GitHub
from cloud.limits import PATIENCE, until
from cloud.machines.fleet import Machines
from cloud.machines.machine import SHUT_DOWN


def send(aws, logical_id, body, **more):
    url = aws.queue(logical_id).url
    aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(body), **more)
    aws.poller(logical_id).kick()


def worked(aws, handler):
    lines = [line for who, line in aws.logs if who == handler and line.startswith('{"worked"')]
    return [json.loads(line) for line in lines]


def test_a_cloud_with_a_delivery_under_way_is_not_idle(aws):
    cloud = aws.reset(command=aws.options.command, make_github=GitHub)
    cloud.github.webhooks.disturb("late", seconds=2)
    cloud.github.queue_job("octo-org/one", ["self-hosted"])
    assert cloud.idle()
    (delivery,) = cloud.github.webhooks.deliveries
    assert delivery.answered


def test_a_cloud_that_is_about_to_lose_a_job_is_not_idle(aws):
    cloud = aws.reset(command=aws.options.command, make_github=GitHub)
    cloud.github.jobs.lost_seconds = 2.0
    job = cloud.github.queue_job("octo-org/one", ["self-hosted"])
    job.state = "in_progress"
    cloud.github.jobs.left(SimpleNamespace(runner=Mock(), job=job))
    assert cloud.idle()
    assert job.state == "completed"


def test_a_cloud_whose_machine_went_off_is_idle_when_that_is_told(aws, monkeypatch):
    cloud = aws.reset(command=aws.options.command, make_machines=Machines)
    told, put = threading.Event(), cloud.put_event
    monkeypatch.setattr(cloud, "put_event", lambda *given: told.wait(PATIENCE) and put(*given))
    ec2 = cloud.client("ec2")
    ec2.run_instances(MinCount=1, MaxCount=1, ImageId="ami-1", InstanceType="t3.nano")
    (instance,) = cloud.instances()
    name = instance["InstanceId"]
    cloud.machines.launched([name], {})
    assert cloud.machines.wait(lambda: name in cloud.machines.all)
    cloud.machines.kill(name)
    assert until(lambda: cloud.instances() == [])
    assert cloud.busy() == [f"machine {name}"]
    told.set()
    assert cloud.idle()
    assert len(worked(cloud, "instance")) == 1


def test_records_are_as_lambda_passes_them(aws, monkeypatch):
    seen = []
    poller = aws.poller("QueuedQueue")
    monkeypatch.setattr(poller, "_invoke", lambda event: seen.append(json.loads(event)) or b"null")
    send(
        aws,
        "QueuedQueue",
        {"job": 1},
        MessageGroupId="1",
        MessageDeduplicationId="1-1",
        MessageAttributes={"source": {"DataType": "String", "StringValue": "here"}},
    )
    assert aws.idle()
    ((record,),) = (event["Records"] for event in seen)
    assert record["body"] == '{"job": 1}'
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == aws.queue("QueuedQueue").arn
    assert record["awsRegion"] == "eu-central-1"
    assert record["messageAttributes"]["source"]["stringValue"] == "here"
    assert record["attributes"]["MessageGroupId"] == "1"
    assert record["attributes"]["MessageDeduplicationId"] == "1-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(record["attributes"]["SentTimestamp"]) / 1000 - time.time()) < 60


def test_only_what_failed_comes_back(aws):
    poller = aws.poller("CompletedQueue")
    poller.paused = True
    for body in ({"n": 1}, {"n": 2, "do": "fail"}, {"n": 3}):
        send(aws, "CompletedQueue", body)
    poller.paused = False
    poller.kick()
    assert aws.idle()
    counts = [one["worked"]["n"] for one in worked(aws, "completed")]
    assert sorted(counts) == [1, *[2] * 30, 3]
    assert [one["worked"]["n"] for one in worked(aws, "dead_letter")] == [2]


@pytest.mark.parametrize("verb", ["crash", "nonsense"])
def test_a_batch_that_goes_wrong_comes_back_whole(aws, verb):
    send(aws, "ParkedQueue", {"do": verb})
    assert until(lambda: len(worked(aws, "watch")) > 1)


def test_dead_letters_know_where_they_came_from(aws, monkeypatch):
    seen = []
    monkeypatch.setattr(
        aws.poller("DeadLetters"), "_invoke", lambda event: seen.append(event) or b"{}"
    )
    send(aws, "InProgressQueue", {"do": "fail"})
    assert aws.idle()
    (record,) = json.loads(seen[0])["Records"]
    assert record["attributes"]["DeadLetterQueueSourceArn"] == aws.queue("InProgressQueue").arn
    assert aws.left() == []


def test_delayed_messages_can_be_hurried(aws, client, monkeypatch):
    seen = []
    poller = aws.poller("ParkedQueue")
    monkeypatch.setattr(poller, "_invoke", lambda event: seen.append(json.loads(event)) or b"null")
    poller.paused = True
    aws.hurry = 60
    sqs = client("sqs", "QueuedRole")
    sqs.send_message(QueueUrl=aws.queue("ParkedQueue").url, MessageBody="{}", DelaySeconds=60)
    assert aws.messages() == {"ParkedQueue": 1}
    poller.paused = False
    assert aws.idle()
    ((record,),) = (event["Records"] for event in seen)
    times = record["attributes"]
    delay = int(times["ApproximateFirstReceiveTimestamp"]) - int(times["SentTimestamp"])
    assert 1000 <= delay < 60_000


def test_a_duplicate_is_dropped_also_when_the_first_is_gone(aws, client):
    sqs, url = client("sqs", "WebhookRole"), aws.queue("QueuedQueue").url
    identities = set()
    for group, identity in (("1", "1-1"), ("1", "1-1"), ("1", "1-2"), ("1", "1-1")):
        answer = sqs.send_message(
            QueueUrl=url, MessageBody="{}", MessageGroupId=group, MessageDeduplicationId=identity
        )
        identities.add(answer["MessageId"])
        assert aws.idle()
    assert len(worked(aws, "queued")) == len(identities) == 2


def test_rules_send_events_to_their_queue(aws, client):
    events = client("events", "RunnerRole", "i-1")
    report = {"Source": "scale-agent.runner", "DetailType": "Runner Report"}
    details = [{"prefix": "/scale-agent", "stage": "ready"}, {"prefix": "/other"}]
    events.put_events(Entries=[{**report, "Detail": json.dumps(one)} for one in details])
    aws.put_event("aws.ec2", "EC2 Instance State-change Notification", {"state": "running"})
    aws.put_event("aws.ec2", "EC2 Instance State-change Notification", {"state": "terminated"})
    warning = {"instance-id": "i-1", "instance-action": "terminate"}
    aws.put_event("aws.ec2", "EC2 Spot Instance Interruption Warning", warning)
    assert aws.idle()
    found = {one["worked"]["detail-type"]: one["worked"] for one in worked(aws, "instance")}
    assert len(worked(aws, "instance")) == len(found) == 3
    event = found["Runner Report"]
    assert event["detail"] == details[0]
    assert (event["account"], event["region"]) == (aws.account, aws.region)
    assert set(event) == {
        *("version", "id", "detail-type", "source", "account", "time", "region"),
        *("resources", "detail"),
    }


def test_an_instance_that_ended_is_told_once(aws):
    aws.client("ec2").run_instances(MinCount=1, MaxCount=1, ImageId="ami-1", InstanceType="t3.nano")
    (instance,) = aws.instances()
    for _ in range(2):
        aws.instance_ended(instance["InstanceId"], f"{SHUT_DOWN} (by its agent)")
    assert aws.idle()
    assert len(worked(aws, "instance")) == 1
    assert aws.instances() == []
    described = aws.client("ec2").describe_instances()["Reservations"][0]["Instances"][0]
    assert described["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert "Tags" not in described


def test_messages_are_counted_as_sqs_counts_them(aws):
    url = aws.queue("QueuedQueue").url
    for poller in aws.pollers:
        poller.paused = True
    sqs = aws.client("sqs")
    for at in range(3):
        sqs.send_message(
            QueueUrl=url, MessageBody="{}", MessageGroupId=str(at), MessageDeduplicationId=str(at)
        )
    sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1)
    sqs.send_message(QueueUrl=aws.queue("ParkedQueue").url, MessageBody="{}", DelaySeconds=60)
    for name, counted in [("QueuedQueue", [2, 1, 0]), ("ParkedQueue", [0, 0, 1])]:
        queue = aws.queue(name)
        said = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
        kinds = ["", "NotVisible", "Delayed"]
        assert [int(said[f"ApproximateNumberOfMessages{kind}"]) for kind in kinds] == counted
        assert aws.moto.counts()[queue.name] == counted
    assert aws.messages() == {"QueuedQueue": 3, "ParkedQueue": 1}
