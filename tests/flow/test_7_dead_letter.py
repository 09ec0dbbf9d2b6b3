# SPDX-License-Identifier: MIT
"""dead_letter: what could not be done is told, kept, and tried again by a command."""

from __future__ import annotations

import re

import pytest
from helpers import (
    attributes,
    batch,
    complaints,
    failures,
    job_message,
    job_url,
    sent,
    told,
)

from cloud.faults import Cut, Error
from cloud.limits import until

RUN = ("ec2", "RunInstances")
FATAL = Error("InvalidParameterValue", 400, "No such thing")


def text(value):
    return {"stringValue": value, "dataType": "String"}


def letter(cloud, body, cause="EC2 said no", queue="QueuedQueue", **attributes):
    """The event of one dead letter, with the attributes that the handlers give it."""
    given = {"source": cloud.queue(queue).arn, "cause": cause} | attributes
    given = {name: text(value) for name, value in given.items() if value is not None}
    return batch(cloud, "DeadLetters", body, messageAttributes=given)


def dead_letter(cloud, event):
    return failures(cloud.invoke("dead_letter", event))


@pytest.fixture
def retry(run_scaler, local_cloud):
    """Run `scaler retry` as the owner of the account; gives exit status, output and errors."""
    keys = []

    def run(*options, **environment):
        if not keys:
            keys.append(local_cloud.client("iam").create_access_key(UserName="owner")["AccessKey"])
        environment = {
            "AWS_ACCESS_KEY_ID": keys[0]["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys[0]["SecretAccessKey"],
            "AWS_REGION": local_cloud.region,
            "AWS_ENDPOINT_URL": local_cloud.aws_url,
            "KEPT_QUEUE_URL": local_cloud.queue("KeptLetters").url,
        } | environment
        done = run_scaler("retry", *options, **environment)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_letter_is_told_with_job_cause_and_command_and_kept(stage):
    assert dead_letter(stage, letter(stage, job_message(6))) == []
    (notification,) = told(stage)
    assert notification["severity"] == "error"
    assert notification["title"] == "Given up: job 6 of octo-org/one"
    assert notification["url"] == job_url(6)
    command = f"scaler retry --dead-letters --queue {stage.queue('KeptLetters').url}"
    assert notification["text"].endswith(command)
    facts = notification["facts"]
    assert (facts["Job"], facts["Repository"]) == ("build-6", "octo-org/one")
    assert facts["Cause"] == "EC2 said no"
    assert facts["Queue"] == "scale-agent-queued.fifo"
    (kept,) = sent(stage, "KeptLetters")
    assert kept["Body"]["id"] == 6
    source = stage.queue("QueuedQueue").arn
    assert attributes(kept) == {"source": source, "cause": "EC2 said no"}


def test_a_letter_of_a_crash_is_told_without_its_cause(stage):
    event = letter(stage, job_message(6), cause=None, source=None)
    event["Records"][0]["attributes"]["DeadLetterQueueSourceArn"] = stage.queue("ParkedQueue").arn
    assert dead_letter(stage, event) == []
    facts = told(stage)[0]["facts"]
    assert "crashed or ran out of time" in facts["Cause"]
    assert facts["Queue"] == "scale-agent-parked"
    assert attributes(sent(stage, "KeptLetters")[0])["source"] == stage.queue("ParkedQueue").arn


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        '{"action":"queued"}',
        "[[[[[",
        "\tü😀\r\n\u2028",
        "x" * 200_000,
        {"source": "aws.ec2", "detail-type": "EC2 Instance", "detail": {"instance-id": "i-1"}},
    ],
    ids=["empty", "no JSON", "no job", "deep", "odd", "huge", "event"],
)
def test_any_letter_is_told_and_kept_as_it_is(stage, body):
    assert dead_letter(stage, letter(stage, body, queue="InstanceQueue")) == []
    (notification,) = told(stage)
    assert notification["title"] == "Given up: a message of queue scale-agent-instance"
    (kept,) = stage.calls.of("sqs", "SendMessage")[1:]
    assert kept.error == ""
    if isinstance(body, dict):
        assert notification["facts"]["Instance"] == "i-1"
        assert sent(stage, "KeptLetters")[0]["Body"] == body
    elif body:
        assert kept.parameters["MessageBody"] == body


def test_a_letter_that_cannot_be_kept_stays(stage):
    rule = stage.faults.add("sqs", "SendMessage", match={"QueueUrl": "*kept*"}, fault=Cut())
    event = letter(stage, job_message(6))
    assert dead_letter(stage, event) == ["message-1"]
    stage.faults.remove(rule)
    assert dead_letter(stage, event) == []
    assert stage.messages() == {"KeptLetters": 1, "NotifyQueue": 1}  # told once all the same


def test_a_letter_that_cannot_be_told_stays(stage):
    rule = stage.faults.add("sqs", "SendMessage", match={"QueueUrl": "*notify*"}, fault=Cut())
    event = letter(stage, job_message(6))
    assert dead_letter(stage, event) == ["message-1"]
    assert "people could not be told" in complaints(stage, "dead_letter")
    assert stage.messages() == {}
    stage.faults.remove(rule)
    assert dead_letter(stage, event) == []


def test_what_fails_for_good_is_told_kept_and_served_when_it_is_mended(make_cloud, inboxes, retry):
    inbox = inboxes()
    cloud = make_cloud(secrets={"notify/teams-webhook-urls": inbox.url})
    rule = cloud.faults.add(*RUN, fault=FATAL)
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"], name="compile")
    assert until(lambda: cloud.messages() == {"KeptLetters": 1} and len(inbox.messages) >= 2)
    told_of = [message["attachments"][0]["content"] for message in inbox.messages]
    titles = [card["body"][0]["text"] for card in told_of]
    assert titles.count(f"Given up: job {job.id} of octo-org/one") == 1
    assert "No such thing" in str(told_of[-1])
    assert "scaler retry --dead-letters" in str(told_of[-1])

    status, output, errors = retry("--dead-letters", "--dry-run")
    assert (status, errors) == (0, "")
    assert "would move" in output
    assert f"job {job.id} of octo-org/one" in output
    assert "No such thing" in output
    assert output.endswith("1 would be moved, 0 stay\n")
    assert cloud.messages() == {"KeptLetters": 1}
    assert job.state == "queued"

    cloud.faults.remove(rule)
    status, output, errors = retry("--dead-letters")
    assert (status, errors) == (0, "")
    assert re.match(r"moved \S+ to scale-agent-queued\.fifo: job", output)
    assert output.endswith("1 moved, 0 stay\n")
    assert until(lambda: job.state == "completed")
    assert cloud.idle()
    assert cloud.left() == []


def test_crashes_reach_people_by_sqs_itself(make_cloud):
    cloud = make_cloud(environment={"MAX_RECEIVE_COUNT": "99"}, make_machines=None)
    cloud.faults.add(*RUN, fault=FATAL)
    job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"])
    assert until(lambda: cloud.messages() == {"KeptLetters": 1})
    (kept,) = sent(cloud, "KeptLetters")
    assert kept["Body"]["id"] == job.id
    assert attributes(kept)["source"] == cloud.queue("QueuedQueue").arn
    assert "crashed or ran out of time" in attributes(kept)["cause"]
    assert cloud.idle()


def put_kept(cloud, body, source):
    found = {"source": {"DataType": "String", "StringValue": source}} if source else {}
    cloud.client("sqs").send_message(
        QueueUrl=cloud.queue("KeptLetters").url, MessageBody=body, MessageAttributes=found
    )


def test_many_letters_go_back_to_their_own_queues(stage, retry):
    for number in range(1, 26):
        queue = ("QueuedQueue", "InstanceQueue", "CompletedQueue")[number % 3]
        put_kept(stage, f"letter {number}", stage.queue(queue).arn)
    status, output, _ = retry("--dead-letters")
    assert status == 0
    assert output.endswith("25 moved, 0 stay\n")
    assert stage.messages() == {"QueuedQueue": 8, "InstanceQueue": 9, "CompletedQueue": 8}


def test_letters_that_cannot_be_moved_stay_and_say_why(stage, retry):
    put_kept(stage, "1", None)
    put_kept(stage, "2", stage.queue("InstanceQueue").arn + "-of-another-time")
    put_kept(stage, "3", stage.queue("InstanceQueue").arn)
    status, output, errors = retry("--dead-letters")
    assert status == 1
    assert output.endswith("1 moved, 2 stay\n")
    assert "it has no attribute `source`" in errors
    assert "queue scale-agent-instance-of-another-time" in errors
    assert stage.messages() == {"InstanceQueue": 1, "KeptLetters": 2}


def test_a_letter_is_never_lost_when_moving_is_interrupted(stage, retry):
    put_kept(stage, "1", stage.queue("QueuedQueue").arn)
    stage.faults.add("sqs", "DeleteMessage", fault=Cut())
    status, output, errors = retry("--dead-letters")
    assert status == 1
    assert "stays" in errors
    assert stage.messages() == {"QueuedQueue": 1, "KeptLetters": 1}


def test_nothing_kept_is_nothing_to_do(stage, retry):
    assert retry("--dead-letters") == (0, "0 moved, 0 stay\n", "")
    url = stage.queue("KeptLetters").url
    options = ("--dead-letters", "--queue", url, "--dry-run")
    assert retry(*options, KEPT_QUEUE_URL="") == (0, "0 would be moved, 0 stay\n", "")


def test_what_is_missing_is_named(stage, retry):
    for environment, words in [
        ({"KEPT_QUEUE_URL": ""}, "KEPT_QUEUE_URL is not set"),
        ({"AWS_REGION": ""}, "AWS_REGION"),
        ({"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID"),
        ({"KEPT_QUEUE_URL": stage.queue("KeptLetters").url + "x"}, "ReceiveMessage"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "ReceiveMessage"),
    ]:
        status, output, errors = retry("--dead-letters", **environment)
        assert (status, output) == (1, "")
        assert words in errors
