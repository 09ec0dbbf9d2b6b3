# SPDX-License-Identifier: MIT
"""The Lambda host: the Runtime API as documented, time-outs, crashes, and the function URL."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cloud.aws.sandbox import FunctionError
from cloud.limits import until


def test_a_function_gets_its_environment_and_nothing_else(aws):
    environment = aws.invoke("queued", {"do": "environment"})
    assert environment.pop("AWS_LAMBDA_RUNTIME_API").startswith("127.0.0.1:")
    assert environment["_HANDLER"] == "queued"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "scale-agent-queued"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert environment["AWS_ENDPOINT_URL"] == aws.aws_url
    assert environment["PARKED_QUEUE_URL"] == aws.queue("ParkedQueue").url
    assert environment["SCALE_AGENT_CONFIG"] == "ssm:/scale-agent/config"
    assert environment["AWS_ACCESS_KEY_ID"] in aws.stack.sessions
    assert aws.stack.sessions[environment["AWS_ACCESS_KEY_ID"]].role == "QueuedRole"
    assert not {"PATH", "HOME", "PYTHONPATH"} & set(environment)


def test_the_runtime_api_is_as_documented(aws):
    before = int(time.time() * 1000)
    headers = aws.invoke("webhook", {"do": "headers"})
    started = int(headers["lambda-runtime-deadline-ms"]) - 10_000
    assert before <= started <= time.time() * 1000
    assert headers["lambda-runtime-invoked-function-arn"].endswith(":function:scale-agent-webhook")
    assert headers["lambda-runtime-trace-id"].startswith("Root=1-")
    assert headers["stale"] == 400


def test_a_process_is_kept_warm_and_started_again_when_busy(aws, tmp_path):
    first, second = (aws.invoke("webhook", {"do": "headers"})["pid"] for _ in range(2))
    assert first == second
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(aws.invoke, "webhook", {"do": "wait", "for": str(tmp_path / "go")})
        assert until(lambda: aws.hosts["scale-agent-webhook"].busy)
        assert aws.invoke("webhook", {"do": "headers"})["pid"] != first
        (tmp_path / "go").touch()
        waiting.result()


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        ({"do": "error"}, "Sad", "on purpose"),
        ({"do": "crash"}, "Runtime.ExitError", "exit status 3"),
        ({"do": "huge"}, "Function.ResponseSizeTooLarge", "6291456"),
        ({"do": "sleep", "seconds": 5}, "Sandbox.Timedout", "timed out after 0.50"),
    ],
)
def test_failures_are_told_and_the_next_event_works(aws, event, kind, text):
    host = aws.hosts["scale-agent-webhook"]
    usual = host.function
    if event["do"] == "sleep":
        host.function = replace(usual, timeout=0.5)
    with pytest.raises(FunctionError, match=text) as caught:
        aws.invoke("webhook", event)
    assert caught.value.kind == kind
    assert aws.failures == [("webhook", caught.value)]
    host.function = usual
    assert aws.invoke("webhook", {"answer": 1}) == 1


def test_a_program_that_cannot_be_started_is_told(local_cloud):
    cloud = local_cloud.reset(command=["/no/such/program"])
    with pytest.raises(FunctionError, match="No such file"):
        cloud.invoke("webhook", {})


def test_output_is_kept_and_metrics_are_found(aws):
    aws.invoke("queued", {"do": "metric"})
    assert aws.metrics("queued") == [{"_aws": {"Timestamp": 1}, "launch": 1}]
    assert aws.metrics("webhook") == []
    assert "launch" in (aws.directory / "logs" / "queued.log").read_text()


def post(url, body, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, names, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read()


def test_the_function_url_makes_an_event_and_an_answer(aws):
    status, body = post(aws.webhook_url + "?a=1", b'{"x":1}', Content_Type="application/json")
    event = json.loads(body)
    assert status == 200
    assert (event["version"], event["body"], event["isBase64Encoded"]) == ("2.0", '{"x":1}', False)
    assert event["rawQueryString"] == "a=1"
    assert event["headers"]["content-type"] == "application/json"
    assert event["requestContext"]["http"]["method"] == "POST"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/octet-stream"])
def test_what_is_no_text_comes_in_base64(aws, kind):
    _, body = post(aws.webhook_url, b"payload=%7B%7D", Content_Type=kind)
    event = json.loads(body)
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == b"payload=%7B%7D"


def test_the_function_url_refuses_too_much_and_tells_failures(aws, monkeypatch):
    assert post(aws.webhook_url, b"x" * (6 * 1024 * 1024), Content_Type="text/plain")[0] == 413
    answers = [b'{"statusCode": 401, "body": "no", "headers": {"X-A": "b"}}', b"nonsense"]
    monkeypatch.setattr(aws.front, "_invoke", lambda event: answers.pop(0))
    assert post(aws.webhook_url, b"{}") == (401, b"no")
    assert post(aws.webhook_url, b"{}") == (502, b"Internal Server Error")
