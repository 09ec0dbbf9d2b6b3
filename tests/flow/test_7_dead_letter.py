# SPDX-License-Identifier: MIT
"""dead_letter: what could not be done is told, kept, and tried again by a command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time

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
from person import owner_environment

from cloud.faults import Body, Cut, Error, Latency
from cloud.limits import PATIENCE, until

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


def owner(cloud):
    """The environment of the owner of the account, who knows the queue."""
    return owner_environment(cloud) | {"KEPT_QUEUE_URL": cloud.queue("KeptLetters").url}


@pytest.fixture
def retry(run_scaler, local_cloud):
    """Run `scaler retry` as the owner of the account; gives exit status, output and errors."""
    made = {}  # when first needed: a test may make another cloud before

    def run(*options, **environment):
        made.update(made or owner(local_cloud))
        done = run_scaler("retry", *options, **made | environment)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_letter_is_told_with_job_cause_and_command_and_kept(stage):
    assert dead_letter(stage, letter(stage, job_message(6))) == []
    (notification,) = told(stage)
    assert notification["severity"] == "error"
    assert notification["title"] == "Given up: job 6 of octo-org/one"
    assert notification["url"] == job_url(6)
    command = f"scaler retry --job 6 --queue {stage.queue('KeptLetters').url}"
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
    assert f"scaler retry --job {job.id}" in str(told_of[-1])

    status, output, errors = retry("--all", "--dry-run")
    assert (status, errors) == (0, "")
    assert "would move" in output
    assert f"job {job.id} of octo-org/one" in output
    assert "No such thing" in output
    assert output.endswith("1 would be moved, 0 stay\n")
    assert cloud.messages() == {"KeptLetters": 1}
    assert job.state == "queued"

    cloud.faults.remove(rule)
    status, output, errors = retry("--job", str(job.id))
    assert (status, errors) == (0, "")
    assert re.match(rf"moved job {job.id} of octo-org/one to scale-agent-queued\.fifo, ", output)
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


def put_kept(cloud, body, source, **more):
    given = more | ({"source": source} if source else {})
    found = {name: {"DataType": "String", "StringValue": value} for name, value in given.items()}
    cloud.client("sqs").send_message(
        QueueUrl=cloud.queue("KeptLetters").url, MessageBody=body, MessageAttributes=found
    )


def test_many_letters_go_back_to_their_own_queues(stage, retry):
    for number in range(1, 26):
        queue = ("QueuedQueue", "InstanceQueue", "CompletedQueue")[number % 3]
        put_kept(stage, f"letter {number}", stage.queue(queue).arn)
    status, output, _ = retry("--all")
    assert status == 0
    assert output.endswith("25 moved, 0 stay\n")
    assert stage.messages() == {"QueuedQueue": 8, "InstanceQueue": 9, "CompletedQueue": 8}


def visible(cloud):
    """How many kept letters SQS would give now."""
    name = "ApproximateNumberOfMessages"
    found = cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.queue("KeptLetters").url, AttributeNames=[name]
    )
    return int(found["Attributes"][name])


def test_letters_are_listed_with_job_queue_age_and_cause_and_stay(stage, retry):
    dead_letter(stage, letter(stage, job_message(6), cause="EC2 said no"))
    dead_letter(stage, letter(stage, "who knows", cause=None, queue="InstanceQueue"))
    for _ in range(2):
        status, output, errors = retry()
        assert (status, errors) == (0, "")
        *lines, total = sorted(output.splitlines(), reverse=True)
        assert re.fullmatch(r"message \S+ from scale-agent-instance, kept for \d+ s: .*", lines[0])
        assert re.fullmatch(
            r"job 6 of octo-org/one from scale-agent-queued\.fifo, kept for \d+ s: EC2 said no",
            lines[1],
        )
        assert total == "2 kept; --job ID or --all moves them back"
        assert visible(stage) == 2


def given(*messages):
    """What SQS answers to ReceiveMessage."""
    found = [{"MessageId": "m", "ReceiptHandle": "r", "Body": "letter"} | m for m in messages]
    return Body(json.dumps({"Messages": found}).encode())


def test_an_age_is_told_in_its_largest_unit(stage, retry):
    ages = {"0 s": -60, "3 min": 3 * 60 + 5, "5 h": 5 * 3600 + 1800, "13 d": 13 * 24 * 3600 + 5}
    messages = [
        {"MessageId": age, "Attributes": {"SentTimestamp": str(int((time.time() - s) * 1000))}}
        for age, s in ages.items()
    ]
    stage.faults.add("sqs", "ReceiveMessage", times=1, fault=given(*messages))
    stage.faults.add("sqs", "ChangeMessageVisibility", fault=Body(b"{}"))
    _, output, _ = retry()
    assert re.findall("kept for (.+)", output) == list(ages)


def test_a_job_is_tried_again_alone(stage, retry):
    for number in (6, 7, 6):
        put_kept(stage, json.dumps(job_message(number)), stage.queue("QueuedQueue").arn)
    status, output, errors = retry("--job", "8")
    assert (status, output) == (1, "")
    assert errors == "scaler: there is no kept letter of job 8\n"
    status, output, errors = retry("--job", "6")
    assert (status, errors) == (0, "")
    assert output.endswith("2 moved, 0 stay\n")
    bodies = [message["Body"] for message in sent(stage, "QueuedQueue")]
    # This sending counts as well: without it, a fleet would get the answer of old once more.
    assert [(body["id"], body["sends"]) for body in bodies] == [(6, 1), (6, 1)]
    assert bodies[0].keys() - {"sends"} == job_message(6).keys()
    # One process at a time holds a job, whoever sent its messages.
    moved = [call.parameters for call in stage.calls.of("sqs", "SendMessage")]
    groups = [one["MessageGroupId"] for one in moved if "queued.fifo" in one["QueueUrl"]]
    assert groups == ["6", "6"]
    assert visible(stage) == 1


def test_a_launched_job_waits_with_those_of_its_installation(stage, retry):
    job = job_message(6, action="launched", installation=4711, instance="i-0123456789abcdef0")
    put_kept(stage, json.dumps(job), stage.queue("RegisterQueue").arn)
    status, _, errors = retry("--job", "6")
    assert (status, errors) == (0, "")
    moved = [call.parameters for call in stage.calls.of("sqs", "SendMessage")]
    groups = [one["MessageGroupId"] for one in moved if "register.fifo" in one["QueueUrl"]]
    assert groups == ["4711"]


def test_a_letter_goes_back_to_the_group_that_it_had(stage, retry):
    """Jobs of an enterprise wait in one line, whatever installation they name."""
    event = batch(stage, "RegisterQueue", {"action": "launched"})
    event["Records"][0]["attributes"]["MessageGroupId"] = "enterprise"
    stage.invoke("register", event)
    (dead,) = sent(stage, "DeadLetters")
    assert attributes(dead)["group"] == "enterprise"
    job = job_message(6, action="launched", instance="i-0123456789abcdef0")
    event = letter(stage, job, queue="RegisterQueue", group="enterprise")
    assert dead_letter(stage, event) == []
    (kept,) = sent(stage, "KeptLetters")
    assert attributes(kept)["group"] == "enterprise"
    assert retry("--job", "6")[0] == 0
    moved = [call.parameters for call in stage.calls.of("sqs", "SendMessage")]
    groups = [one["MessageGroupId"] for one in moved if "register.fifo" in one["QueueUrl"]]
    assert groups == ["enterprise"]


def test_a_letter_that_comes_twice_is_told_once_and_ends_the_list(stage, retry):
    """SQS gives a letter twice when reading takes longer than letters are hidden."""
    stage.faults.add("sqs", "ReceiveMessage", times=5, fault=given({}, {}))
    stage.faults.add("sqs", "ChangeMessageVisibility", fault=Body(b"{}"))
    status, output, errors = retry()
    assert (status, errors) == (0, "")
    assert output.splitlines() == [
        "message m from an unknown queue",
        "1 kept; --job ID or --all moves them back",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_letter_hidden(stage, number):
    for _ in range(12):
        put_kept(stage, "letter", stage.queue("QueuedQueue").arn)
    stage.faults.add("sqs", "ReceiveMessage", skip=1, fault=Latency(1))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [stage.programs / "scaler", "retry"], env=owner(stage), **pipes
    ) as process:
        assert process.stdout.readline().startswith("message ")
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert errors == "scaler: interrupted; letters that were not seen are kept\n"
    assert "kept; --job" in output
    assert visible(stage) == 12


def test_letters_that_cannot_be_moved_stay_and_say_why(stage, retry):
    put_kept(stage, "1", None)
    put_kept(stage, "2", stage.queue("InstanceQueue").arn + "-of-another-time")
    put_kept(stage, "3", stage.queue("InstanceQueue").arn)
    status, output, errors = retry("--all")
    assert status == 1
    assert output.endswith("1 moved, 2 stay\n")
    assert "it has no attribute `source`" in errors
    assert "queue scale-agent-instance-of-another-time" in errors
    assert stage.messages() == {"InstanceQueue": 1, "KeptLetters": 2}


def test_a_letter_is_never_lost_when_moving_is_interrupted(stage, retry):
    put_kept(stage, "1", stage.queue("QueuedQueue").arn)
    stage.faults.add("sqs", "DeleteMessage", fault=Cut())
    status, output, errors = retry("--all")
    assert status == 1
    assert "stays" in errors
    assert stage.messages() == {"QueuedQueue": 1, "KeptLetters": 1}


def test_nothing_kept_is_nothing_to_do(stage, retry):
    assert retry() == (0, "0 kept\n", "")
    assert retry("--all") == (0, "0 moved, 0 stay\n", "")
    url = stage.queue("KeptLetters").url
    options = ("--all", "--queue", url, "--dry-run")
    assert retry(*options, KEPT_QUEUE_URL="") == (0, "0 would be moved, 0 stay\n", "")


def test_what_is_missing_is_named(stage, retry):
    for environment, words in [
        ({"KEPT_QUEUE_URL": ""}, "KEPT_QUEUE_URL is not set"),
        ({"AWS_REGION": ""}, "AWS_REGION"),
        ({"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID"),
        ({"KEPT_QUEUE_URL": stage.queue("KeptLetters").url + "x"}, "ReceiveMessage"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "ReceiveMessage"),
    ]:
        status, output, errors = retry("--all", **environment)
        assert (status, output) == (1, "")
        assert words in errors
