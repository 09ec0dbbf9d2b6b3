# SPDX-License-Identifier: MIT
"""The scaler on the shell: what a person is told, on which stream, with which exit status."""

from __future__ import annotations

import json
import subprocess

import pytest
from helpers import HANDLERS, batch, job_message, launched, sent

from cloud.aws.sandbox import FunctionError
from cloud.limits import PATIENCE

BATCHES = HANDLERS[1:]
COMMANDS = ["setup", "doctor", "check", "ladder", "retry", "recover"]
PING = {
    "requestContext": {"http": {"method": "POST"}},
    "headers": {"x-github-event": "ping", "x-hub-signature-256": "sha256=" + "0" * 64},
    "body": "{}",
}


@pytest.fixture(autouse=True)
def no_cloud_is_needed(local_cloud):
    """Most tests here only need the program's path; those that need a cloud take `stage`."""


def test_help_lists_handlers_and_commands_in_order(run_scaler):
    done = run_scaler("--help")
    assert (done.returncode, done.stderr) == (0, "")
    places = [done.stdout.index(f"\n  {name} ") for name in HANDLERS + COMMANDS]
    assert places == sorted(places)
    assert "Exit status: 0 done; 1 failed; 2 wrong usage or configuration." in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_version_is_one_line(run_scaler):
    done = run_scaler("--version")
    assert (done.returncode, done.stderr) == (0, "")
    name, version = done.stdout.split()
    assert name == "scaler"
    assert version


WRONG = [
    ([], "Usage: scaler HANDLER"),
    (["dance"], "unknown handler or command: dance"),
    (["--dance"], "unknown handler or command: --dance"),
    ([""], "unknown handler or command"),
    (["WEBHOOK"], "unknown handler or command: WEBHOOK"),
    (["webhook", "event.json"], 'unexpected argument "event.json": webhook takes its event from'),
    (["queued", "--help"], 'unexpected argument "--help": queued takes its event from'),
    (["dance", "--help"], "unknown handler or command: dance"),
    (["ladder"], "Usage: scaler ladder"),
    (["ladder", "--up"], "Usage: scaler ladder"),
    (["ladder", "m7i.large", "m7a.large"], "Usage: scaler ladder"),
    (["ladder", "m7i"], "m7i is no instance type"),
    (["ladder", "m7i.large", "--allocation", "diversified"], 'found "diversified"'),
    (["ladder", "m7i.large", "--subnets", "subnet-1,,subnet-2"], "is no subnet's id"),
    (["ladder", "m7i.large", "--subnets", "vpc-1"], "is no subnet's id"),
    (["ladder", "x" * 5000], "is no instance type"),
    (["recover", "now"], "Usage: scaler recover"),
    (["recover", "--days", "4"], "--days: a number from 1 to 3"),
    (["recover", "--days", "2h"], "--days: a number from 1 to 3"),
    (["retry", "--dance"], "unrecognized option '--dance'"),
    (["retry", "--dry-run"], "Usage: scaler retry"),
    (["retry", "--all", "now"], "Usage: scaler retry"),
    (["retry", "--all", "--queue"], "requires an argument"),
]


def test_wrong_usage_is_told_on_standard_error(run_scaler):
    for arguments, words in WRONG:
        done = run_scaler(*arguments)
        assert (arguments, done.returncode, done.stdout) == (arguments, 2, "")
        assert words in done.stderr


def test_each_command_has_its_own_help(run_scaler):
    for command in COMMANDS:
        done = run_scaler(command, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: scaler {command} ")


def test_an_answer_that_cannot_be_written_is_a_failure(local_cloud, run_scaler):
    program = local_cloud.programs / "scaler"
    for arguments in (["--help"], ["--version"], ["webhook"], ["ladder", "m7i.large"]):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "{program}" "$@" > /dev/full', "sh", *arguments],
            input=json.dumps(PING), capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert (arguments, done.returncode) == (arguments, 1)
        assert "No space left" in done.stderr


@pytest.mark.parametrize("handler", BATCHES)
def test_an_event_that_cannot_be_read_is_named(run_scaler, handler):
    for event, words in [
        ("", "the event is empty"),
        ("{", "the event"),
        ("nonsense", "the event"),
        (b"\xff\xfe{}", b"UTF-8"),
        ("[" * 100_000, "the event"),
        ("[]", "Records: a list of SQS messages is needed"),
        ({"Records": {}}, "Records: a list of SQS messages is needed"),
        ({"Records": [{}]}, "Records[0]: messageId"),
        ({"Records": [{"messageId": "1"}]}, "Records[0]: body"),
        ({"Records": [{"messageId": 1, "body": ""}]}, "Records[0]: messageId"),
        ({"Records": [{"messageId": "1", "body": ""}] * 10_001}, "Records: a list"),
    ]:
        done = run_scaler(handler, event=event)
        assert (str(event)[:60], done.returncode) == (str(event)[:60], 1)
        assert not done.stdout
        assert words in done.stderr.splitlines()[-1]


def test_an_event_that_is_too_large_is_refused(run_scaler):
    done = run_scaler("queued", event=b" " * (49 * 1024 * 1024))
    assert done.returncode == 1
    assert not done.stdout
    assert b"standard input cannot be read: File too large" in done.stderr


def test_an_empty_batch_is_no_work(run_scaler):
    for handler in ("in_progress", "dead_letter", "notify"):
        done = run_scaler(handler, event={"Records": []})
        assert (done.returncode, done.stdout) == (0, '{"batchItemFailures":[]}\n')


def test_webhook_answers_nonsense_as_it_would_a_stranger(run_scaler):
    for event, status in [("", 400), ("{", 400), ("[]", 405), ("{}", 405), ({"body": 5}, 405)]:
        done = run_scaler("webhook", event=event)
        assert (done.returncode, json.loads(done.stdout)["statusCode"]) == (0, status)


MISSING = {
    "webhook": ("GITHUB_WEBHOOK_SECRET", None),
    "queued": ("SCALE_AGENT_CONFIG", job_message()),
    "in_progress": ("AWS_REGION", job_message(action="in_progress", runner_name="i-0123456789ab")),
    "completed": ("SCALE_AGENT_CONFIG", job_message(action="completed")),
    "instance": ("SCALE_AGENT_CONFIG", {"source": "aws.ec2"}),
    "dead_letter": ("NOTIFY_QUEUE_URL", job_message()),
}


@pytest.mark.parametrize("handler", MISSING)
def test_a_setting_that_is_missing_is_named(stage, run_scaler, handler):
    variable, body = MISSING[handler]
    event = PING if body is None else batch(stage, "QueuedQueue", body)
    done = run_scaler(handler, event=event)
    assert done.returncode == 0
    answer = json.loads(done.stdout)
    assert answer.get("statusCode") == 503 or len(answer["batchItemFailures"]) == 1
    lines = [json.loads(line) for line in done.stderr.splitlines() if variable in line]
    assert {line["level"] for line in lines} == {"error"}


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AWS_REGION", "", "AWS_REGION"),
        ("AWS_ACCESS_KEY_ID", "", "AWS_ACCESS_KEY_ID"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "SendMessage"),
        ("AWS_ENDPOINT_URL", "nonsense", "SendMessage"),
    ],
)
def test_a_setting_that_is_wrong_is_named(stage, run_scaler, variable, value, words):
    event = batch(stage, "QueuedQueue", job_message())
    done = run_scaler("queued", event=event, role="queued", **{variable: value})
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    errors = [line for line in done.stderr.splitlines() if '"level":"error"' in line]
    assert words in "\n".join(errors)
    assert stage.instances() == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SCALE_AGENT_CONFIG", "", "SCALE_AGENT_CONFIG"),
        ("SCALE_AGENT_CONFIG", "ssm:/scale-agent/github/token", "token does not exist"),
        ("SCALE_AGENT_CONFIG", "file:/nowhere", "/nowhere"),
        ("SCALE_AGENT_CONFIG", "env:SCALE_AGENT_CONFIG", "circle"),
        ("SCALE_AGENT_CONFIG", "{}", "github"),
        ("SCALE_AGENT_CONFIG", "no JSON", "SCALE_AGENT_CONFIG"),
        ("GITHUB_PRIVATE_KEY", "", "GITHUB_PRIVATE_KEY"),
        ("GITHUB_PRIVATE_KEY", "no key", "private key"),
    ],
)
def test_with_a_wrong_setting_jobs_wait(stage, run_scaler, variable, value, words):
    event = batch(stage, "QueuedQueue", job_message())
    done = run_scaler("queued", event=event, role="queued", **{variable: value})
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"batchItemFailures": []}
    (waiting,) = [line for line in done.stderr.splitlines() if '"message":"waiting"' in line]
    assert words in waiting
    assert len(sent(stage, "ParkedQueue")) == 1


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("GITHUB_API_URL", "http://127.0.0.1:1", "installation token"),
        ("SSL_CERT_FILE", "/nowhere", "installation token"),
        ("GITHUB_PRIVATE_KEY", "", "GITHUB_PRIVATE_KEY"),
        ("SCALE_AGENT_CONFIG", "{}", "github"),
    ],
)
def test_with_a_wrong_setting_machines_wait(stage, run_scaler, variable, value, words):
    failed, messages = launched(stage, job_message())
    assert failed == []
    event = batch(stage, "RegisterQueue", *messages)
    done = run_scaler("register", event=event, role="register", **{variable: value})
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    (waiting,) = [line for line in done.stderr.splitlines() if '"message":"waiting"' in line]
    assert words in waiting
    assert len(stage.instances()) == 1


def test_an_event_can_be_tried_by_hand(stage, run_scaler):
    event = batch(stage, "QueuedQueue", job_message())
    done = run_scaler("queued", event=event, role="queued")
    assert (done.returncode, done.stdout) == (0, '{"batchItemFailures":[]}\n')
    logged = [json.loads(line) for line in done.stderr.splitlines()]
    assert "launched" in {line.get("message") for line in logged}
    assert len(stage.instances()) == 1


def test_a_log_level_that_is_none_is_told_and_no_obstacle(run_scaler):
    done = run_scaler("webhook", event="{}", LOG_LEVEL="loud")
    assert done.returncode == 0
    assert "LOG_LEVEL must be error, warning, info or debug" in done.stderr


def test_lambda_with_an_unknown_handler_says_so(make_stage):
    stage = make_stage(environment={"_HANDLER": "dance"})
    with pytest.raises(FunctionError, match="exit status 2"):
        stage.invoke("queued", {})
    assert "unknown handler or command: dance" in str(stage.logs)


def test_lambda_may_name_the_handler_as_argument(make_stage, local_cloud):
    """AWS's emulator of the runtime starts `./bootstrap HANDLER`."""
    command = [str(local_cloud.programs / "scaler"), "queued"]
    stage = make_stage(command=command, environment={"_HANDLER": "dance"})
    for _ in range(2):
        assert stage.invoke("queued", {"Records": []}) == {"batchItemFailures": []}


def test_a_broken_event_does_not_end_a_function(stage):
    for event in (b"{", b"[]", b'{"Records":5}'):
        with pytest.raises(FunctionError, match="event|Records"):
            stage.invoke("queued", event)
    assert stage.invoke("queued", batch(stage, "QueuedQueue", job_message())) == {
        "batchItemFailures": []
    }
    assert len(stage.hosts["scale-agent-queued"].pids) == 1
