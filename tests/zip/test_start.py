# SPDX-License-Identifier: MIT
"""The zip's program at work, started by the Lambda host where there is nothing but it and glibc."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import socket
import threading
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from cloud.aws.sandbox import Sandbox
from cloud.github.tls import make_app_key, make_certificates
from cloud.limits import PATIENCE
from cloud.serve import Answer, Server

RUNNER = "i-0123456789abcdef0"
TERMINATED = f"""<TerminateInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<instancesSet><item><instanceId>{RUNNER}</instanceId></item></instancesSet>
</TerminateInstancesResponse>"""
TAGS = {"scale-agent:prefix": "/scale-agent", "scale-agent:scope": "repos/octo-org/one"}
DESCRIBED = f"""<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<reservationSet><item><ownerId>123456789012</ownerId><instancesSet><item>
<instanceId>{RUNNER}</instanceId><instanceState><name>running</name></instanceState><tagSet>
{"".join(f"<item><key>{key}</key><value>{value}</value></item>" for key, value in TAGS.items())}
</tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>"""
SPEC = {
    "name": "linux-x64",
    "labels": ["self-hosted", "linux"],
    "instance_type": "m7i.large",
    "launch_template": "scale-agent",
    "subnets": ["subnet-1"],
    "terminate_on_completed": True,
}
CONFIG = {
    "github": {"app_id": 12345, "installations": [4711], "repositories": ["octo-org/*"]},
    "specs": [SPEC],
}
JOB = {
    "action": "completed",
    "id": 1,
    "run_id": 2,
    "attempt": 1,
    "installation": 4711,
    "repository": "octo-org/one",
    "name": "größer",
    "url": "https://github.com/octo-org/one/actions/runs/2/job/1",
    "spec": "linux-x64",
    "labels": ["self-hosted", "linux"],
    "runner_name": RUNNER,
    "runner_id": 23,
}


class Peer:
    """AWS and GitHub over TLS: answers as they do, and keeps what was asked."""

    def __init__(self, directory):
        directory.mkdir()
        self.ca_file, tls = make_certificates(directory)
        self.requests = []
        self.server = Server(self._serve, tls).start()
        self.url = f"https://127.0.0.1:{self.server.port}"

    def _serve(self, request):
        self.requests.append(request)
        target = request.headers.get("x-amz-target")
        if request.path.endswith("/access_tokens"):
            return Answer.of(201, {"token": "ghs_1", "expires_at": "2099-01-01T00:00:00Z"})
        if request.method == "DELETE":
            return Answer(204)
        if target == "AmazonSSM.GetParameters":
            values = {"config": json.dumps(CONFIG), "secret": "secret"}
            names = json.loads(request.body)["Names"]
            found = [{"Name": name, "Value": values[name.rpartition("/")[2]]} for name in names]
            return Answer.of(200, {"Parameters": found})
        if target == "AmazonSSM.DeleteParameters":
            return Answer.of(200, {"DeletedParameters": [], "InvalidParameters": []})
        text = DESCRIBED if b"Action=DescribeInstances" in request.body else TERMINATED
        return Answer(200, text.encode(), {"Content-Type": "text/xml"})


@pytest.fixture
def peer(tmp_path):
    peer = Peer(tmp_path / "peer")
    yield peer
    peer.server.stop()


@pytest.fixture
def start(tree):
    """Start handlers; `start.lines` is what they wrote."""
    started: list[Sandbox] = []

    def begin(handler, timeout=PATIENCE, **environment):
        started.append(tree.start(handler, environment, begin.lines.append, timeout))
        return started[-1]

    begin.lines = []
    yield begin
    for sandbox in started:
        sandbox.stop()


def webhook(body, secret=b"secret"):
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
    headers = {"x-github-event": "ping", "x-hub-signature-256": f"sha256={digest}"}
    context = {"http": {"method": "POST"}}
    event = {"requestContext": context, "headers": headers, "body": body.decode()}
    return json.dumps(event).encode()


def completed():
    record = {
        "messageId": "message-1",
        "body": json.dumps(JOB, ensure_ascii=False),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:completed",
    }
    return json.dumps({"Records": [record]}).encode()


def settings(peer, pem=""):
    return {
        "SCALE_AGENT_CONFIG": "ssm:/scale-agent/config",
        "GITHUB_PRIVATE_KEY": pem,
        "GITHUB_WEBHOOK_SECRET": "ssm:/scale-agent/secret",
        "GITHUB_API_URL": peer.url,
        "AWS_ENDPOINT_URL": peer.url,
    }


def assert_signed(request, service):
    """Sign what came as botocore does; it has to give the signature that came."""
    authorization = request.headers["authorization"]
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-amz-date"} <= set(names)
    ours = AWSRequest(
        "POST", f"https://{request.headers['host']}/", data=request.body,
        headers={name: request.headers[name] for name in names if name != "host"},
    )  # fmt: skip
    ours.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), service, "eu-central-1")
    signature = signer.signature(signer.string_to_sign(ours, canonical(ours, names, request)), ours)
    assert authorization.endswith(f"Signature={signature}")


def canonical(ours, names, request):
    lines = [f"{name}:{request.headers[name].strip()}" for name in names]
    payload = hashlib.sha256(request.body).hexdigest()
    return "\n".join(["POST", "/", "", *lines, "", ";".join(names), payload])


def test_it_answers_an_event(start, peer, tree):
    tree.trust(peer.ca_file)
    sandbox = start("webhook", **settings(peer))
    answer = json.loads(sandbox.invoke(webhook('{"zen":"größer"}'.encode())))
    assert answer["statusCode"] == 200
    assert "pong" in answer["body"]
    wrong = json.loads(sandbox.invoke(webhook(b"{}", secret=b"other")))
    assert wrong["statusCode"] == 401


def test_it_reads_no_configuration_of_openssl(start, peer, tree):
    """Half of the instructions of a start. Whoever opens a pipe that nobody writes to hangs."""
    os.mkfifo(tree.root / "openssl.cnf")
    tree.trust(peer.ca_file)
    sandbox = start("webhook", OPENSSL_CONF="/openssl.cnf", **settings(peer))
    answer = json.loads(sandbox.invoke(webhook(b'{"zen":""}')))
    assert answer["statusCode"] == 200


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_it_signs_for_github_and_aws_over_verified_tls(start, peer, tree, form):
    pem, public = make_app_key()
    key = load_pem_private_key(pem.encode(), None)
    text = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    tree.trust(peer.ca_file)
    sandbox = start("completed", **settings(peer, text))
    assert json.loads(sandbox.invoke(completed())) == {"batchItemFailures": []}, start.lines
    asked = {request.path: request for request in peer.requests}
    jwt = asked["/app/installations/4711/access_tokens"].headers["authorization"].split()[1]
    signed, _, signature = jwt.rpartition(".")
    decoded = base64.urlsafe_b64decode(signature + "==")
    public.verify(decoded, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    posts = [request for request in peer.requests if request.path == "/"]
    services = ["ssm", "ec2", "ec2"]
    assert len(posts) == len(services)
    for request, service in zip(posts, services, strict=True):
        assert_signed(request, service)


def test_it_refuses_who_has_no_certificate_of_a_known_authority(start, peer):
    sandbox = start("webhook", **settings(peer))
    answer = json.loads(sandbox.invoke(webhook(b'{"zen":""}')))
    assert answer["statusCode"] == 503
    assert "certificate" in "".join(start.lines)
    assert peer.requests == []


def answer_without_tls(server):
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()


def test_it_says_what_is_wrong_with_tls(start, peer):
    """Of OpenSSL's texts of errors, the zip has only those of TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_without_tls, args=(server,), daemon=True).start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        sandbox = start("webhook", **settings(peer) | {"AWS_ENDPOINT_URL": url})
        assert json.loads(sandbox.invoke(webhook(b'{"zen":""}')))["statusCode"] == 503
    assert "wrong version number" in "".join(start.lines)


def test_without_a_folder_of_authorities_it_trusts_nobody(start, peer, tree):
    tree.trust(peer.ca_file)
    tree.authorities.rename(tree.authorities.with_name("elsewhere"))
    answer = json.loads(start("webhook", **settings(peer)).invoke(webhook(b'{"zen":""}')))
    assert answer["statusCode"] == 503
    assert peer.requests == []


@pytest.mark.skipif(os.geteuid() != 0, reason="binds port 53")
def test_a_name_server_that_is_silent_does_not_hold_it_up(start, peer, tree):
    """The resolver is glibc's, in a thread: its ten seconds and more are not the program's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.77", 53))
        silent.settimeout(1)
        (tree.root / "etc").mkdir()
        (tree.root / "etc/resolv.conf").write_text("nameserver 127.0.0.77\n")
        there = settings(peer) | {"AWS_ENDPOINT_URL": "https://ssm.example"}
        sandbox = start("webhook", **there)
        before = time.monotonic()
        answer = json.loads(sandbox.invoke(webhook(b'{"zen":""}')))
        assert silent.recv(512)
    assert answer["statusCode"] == 503
    assert "Resolving timed out" in "".join(start.lines)
    assert time.monotonic() - before < 9
