# SPDX-License-Identifier: MIT
"""What the tests of GitHub's stand-in share: a client of its API, and the stand-in runner."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from cloud.limits import PATIENCE

from ..faults import Faults
from ..github.stand_in import GitHub
from ..serve import Answer, Request, Server

RUNNER = str(Path(__file__).parents[1] / "machines" / "runner")
LABELS = ["self-hosted", "linux", "x64"]
RUNNERS = "/repos/octo-org/one/actions/runners"
JIT = f"{RUNNERS}/generate-jitconfig"
BODY = {"name": "i-0123456789abcdef0", "runner_group_id": 1, "labels": LABELS}


class Client:
    """Calls the API over one connection that is kept alive."""

    def __init__(self, github: GitHub, token: str = ""):
        url = urlsplit(github.api_url)
        context = ssl.create_default_context(cafile=str(github.ca_file))
        self.base, self.token = url.path, token or github.personal_token
        self.connection = http.client.HTTPSConnection("localhost", url.port, context=context)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> SimpleNamespace:
        """Make one call; gives status, document and headers."""
        text = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        headers = {"User-Agent": "test", "Authorization": f"Bearer {self.token}"} | headers
        if text is not None:
            headers.setdefault("Content-Type", "application/json")
        self.connection.request(method, self.base + path, text, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        document = json.loads(content) if content else None
        return SimpleNamespace(status=answer.status, document=document, headers=answer.headers)


class World:
    """GitHub's stand-in, a client that may do everything, and what its webhooks brought."""

    def __init__(self, directory: Path):
        self.received: list[Request] = []
        self.faults = Faults()
        self.github = GitHub(directory, self.faults, "/api/v3")
        self._sink = Server(self._receive)

    @contextlib.contextmanager
    def running(self) -> Iterator[World]:
        """Serve for a while."""
        self._sink.start()
        self.github.start().webhooks.url = f"http://127.0.0.1:{self._sink.port}/"
        self.call = Client(self.github)
        try:
            yield self
        finally:
            self.faults.stopped.set()
            self.github.stop()
            self._sink.stop()

    def _receive(self, request: Request) -> Answer:
        self.received.append(request)
        return Answer(202)

    def register(self, **changes: Any) -> str:
        """Register a runner, and give its configuration."""
        answer = self.call("POST", JIT, BODY | changes)
        assert answer.status == 201
        return answer.document["encoded_jit_config"]


def jwt(github: GitHub, **changes: Any) -> str:
    """Sign a JWT of the App, with these claims changed."""
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 500, "iss": github.app_id, "jti": str(uuid.uuid4())}
    parts = [{"alg": "RS256", "typ": "JWT"}, claims | changes]
    text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    key = serialization.load_pem_private_key(github.private_key.encode(), None)
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def start_runner(
    configuration: str, *arguments: str, **environment: str
) -> subprocess.Popen[bytes]:
    """Start the stand-in runner as the agent does."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", RUNNER, *(arguments or ("run",))],
        env={
            "PATH": os.environ["PATH"],
            "ACTIONS_RUNNER_INPUT_JITCONFIG": configuration,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for a runner; gives its exit code and output."""
    output, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, output.decode(errors="replace")
