# SPDX-License-Identifier: MIT
"""Deliveries of webhooks: as GitHub makes them, and doubled, late, lost or out of order.

The bodies are the real ones of the npm package @octokit/webhooks-examples, with the job, runner,
repository and installation put in, and each is checked against GitHub's schema before it goes out.
A delivery can be doubled, late, lost or overtaken by the next one. Nothing here blocks the caller.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import http.client
import itertools
import json
import random
import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..limits import PATIENCE
from ..serve import iso
from .jobs import Job
from .openapi import package_directory

EXAMPLES = "@octokit/webhooks-examples"
DELIVERY_SECONDS = 10.0
WORKERS = 16
KINDS = ("duplicate", "late", "lost", "reordered")
REPOSITORY_ID = 186_853_002
HOOK_IDS = itertools.count(371_893_447)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass
class Disturbance:
    """A rule that spoils the next `times` deliveries of an action (any action when empty)."""

    kind: str
    action: str = ""
    times: int = 1
    seconds: float = 2.0


@dataclass
class Delivery:
    """One attempt to deliver; `status` is None while under way, 0 when it failed to arrive."""

    id: str
    event: str
    action: str
    job_id: int | None
    body: bytes
    headers: dict[str, str]
    kind: str = ""
    sent: float = field(default_factory=time.time)
    answered: float | None = None
    status: int | None = None
    answer: bytes = b""
    error: str = ""


class Webhooks:
    """Signs and sends deliveries to `url`, and keeps a record of them all."""

    def __init__(self, secret: str, installation: int, app_id: int) -> None:
        """Deliveries of an App's webhook; those of a repository or organization name no App."""
        self.url = ""
        self.secret = secret
        self.installation = installation
        self.app_id = app_id
        self.content_type = JSON
        self.insecure_ssl = "0"
        self.deliveries: list[Delivery] = []
        self._rules: list[Disturbance] = []
        self._held: list[Delivery] = []
        self._lock = threading.Lock()
        self._open = 0
        self._quiet = threading.Condition(self._lock)
        self._pool = ThreadPoolExecutor(WORKERS, "webhook")
        self.id = next(HOOK_IDS)

    def disturb(self, kind: str, action: str = "", times: int = 1, seconds: float = 2.0) -> None:
        """Spoil the next deliveries: duplicate, late, lost or reordered."""
        if kind not in KINDS:
            raise ValueError(f"unknown disturbance {kind}: one of {', '.join(KINDS)}")
        with self._lock:
            self._rules.append(Disturbance(kind, action, times, seconds))

    def announce(self, job: Job, action: str) -> Delivery:
        """Send the workflow_job event of one step in a job's life."""
        return self.deliver("workflow_job", action, self.body(job, action), job.id)

    def body(self, job: Job, action: str) -> dict[str, Any]:
        """The body of a workflow_job event."""
        return workflow_job_body(job, action, self.installation)

    def deliver(
        self, event: str, action: str, document: Any, job_id: int | None = None
    ) -> Delivery:
        """Send any document as an event."""
        delivery = self.make(event, action, json.dumps(document).encode(), job_id)
        with self._lock:
            rule = next((r for r in self._rules if r.times and r.action in ("", action)), None)
            if rule is not None:
                rule.times -= 1
                delivery.kind = rule.kind
            self.deliveries.append(delivery)
        self._route(delivery, rule)
        return delivery

    def make(self, event: str, action: str, body: bytes, job_id: int | None = None) -> Delivery:
        """Sign a body and dress it with GitHub's headers, without sending it."""
        if self.content_type == FORM:
            body = urlencode({"payload": body.decode()}).encode()
        target = ("integration", self.app_id) if self.app_id else ("repository", REPOSITORY_ID)
        headers = {
            "User-Agent": "GitHub-Hookshot/0f5bb2e",
            "Accept": "*/*",
            "Content-Type": self.content_type,
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-GitHub-Event": event,
            "X-GitHub-Hook-ID": str(self.id),
            "X-GitHub-Hook-Installation-Target-ID": str(target[1]),
            "X-GitHub-Hook-Installation-Target-Type": "integration"
            if self.app_id
            else "repository",
            "X-Hub-Signature": "sha1=" + sign(self.secret, body, "sha1"),
            "X-Hub-Signature-256": "sha256=" + sign(self.secret, body, "sha256"),
        }
        return Delivery(headers["X-GitHub-Delivery"], event, action, job_id, body, headers)

    def redeliver(self, delivery: Delivery, kind: str = "redelivery") -> Delivery:
        """Send a delivery again; it keeps its X-GitHub-Delivery."""
        again = copy.copy(delivery)
        again.kind, again.status, again.answered, again.error = kind, None, None, ""
        again.sent = time.time()
        with self._lock:
            self.deliveries.append(again)
        self._submit(again)
        return again

    def wait(self, seconds: float = PATIENCE) -> bool:
        """Wait until nothing is under way; False when the time is over."""
        with self._quiet:
            return self._quiet.wait_for(lambda: self._open == 0, seconds)

    @property
    def busy(self) -> bool:
        """Tell whether a delivery is under way, or is late on purpose."""
        with self._quiet:
            return self._open > 0

    def stop(self) -> None:
        """Send nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _route(self, delivery: Delivery, rule: Disturbance | None) -> None:
        kind = rule.kind if rule else ""
        if kind == "lost":
            delivery.status, delivery.error = 0, "lost on purpose"
        elif kind == "late":
            self._later(delivery, rule.seconds if rule else 0.0)
        elif kind == "reordered":
            with self._lock:
                self._held.append(delivery)
        else:
            self._submit(delivery)
            with self._lock:
                held, self._held = self._held, []
            for overtaken in held:
                self._later(overtaken, 0.2)
        if kind == "duplicate":
            self.redeliver(delivery, kind)

    def _later(self, delivery: Delivery, seconds: float) -> None:
        with self._quiet:
            self._open += 1
        timer = threading.Timer(seconds, self._submit, [delivery, True])
        timer.daemon = True
        timer.start()

    def _submit(self, delivery: Delivery, counted: bool = False) -> None:
        if not counted:
            with self._quiet:
                self._open += 1
        try:
            self._pool.submit(self._send, delivery)
        except RuntimeError:  # stopped
            self._settle()

    def _send(self, delivery: Delivery) -> None:
        delivery.sent = time.time()
        try:
            delivery.status, delivery.answer = post(self.url, delivery.headers, delivery.body)
        except (OSError, http.client.HTTPException) as error:
            delivery.status, delivery.error = 0, f"{type(error).__name__}: {error}"
        delivery.answered = time.time()
        self._settle()

    def _settle(self) -> None:
        with self._quiet:
            self._open -= 1
            self._quiet.notify_all()


def post(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """One POST on a connection of its own, within GitHub's time limit."""
    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=DELIVERY_SECONDS)
    try:
        connection.request("POST", target.path or "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read(65536)
    finally:
        connection.close()


def sign(secret: str, body: bytes, algorithm: str) -> str:
    """The signature that GitHub puts into X-Hub-Signature-256 (and, with sha1, the old one)."""
    return hmac.new(secret.encode(), body, getattr(hashlib, algorithm)).hexdigest()


@cache
def examples(event: str) -> list[dict[str, Any]]:
    """The recorded bodies of one event."""
    index = package_directory(EXAMPLES) / "api.github.com" / "index.json"
    return next(e["examples"] for e in json.loads(index.read_text()) if e["name"] == event)


def workflow_job_body(job: Job, action: str, installation: int) -> dict[str, Any]:
    """A recorded workflow_job body with this job put in its place everywhere."""
    wanted = [e for e in examples("workflow_job") if e["action"] == action]
    plain = [e for e in wanted if e["workflow_job"]["status"] == e["action"]] or wanted
    recorded = max(plain, key=lambda e: len(e["workflow_job"]))
    body = _renamed(recorded, job.repository)
    body.pop("organization", None)
    body.pop("deployment", None)
    body["repository"] |= {"id": REPOSITORY_ID, "private": not job.public}
    body["repository"]["visibility"] = "public" if job.public else "private"
    body.pop("installation", None)
    if installation:
        node = "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u"
        body["installation"] = {"id": installation, "node_id": node}
    body["workflow_job"] |= _job_fields(job, action)
    body["workflow_job"]["steps"] = _steps(body["workflow_job"]["steps"], job, action)
    return body


def job_document(job: Job) -> dict[str, Any]:
    """A job as the API shows it, which is what the webhook of its state says of it."""
    return workflow_job_body(job, job.state, 0)["workflow_job"]


def _renamed(recorded: dict[str, Any], new: str) -> dict[str, Any]:
    """Replace a repository's name and its owner's, in names and in addresses."""
    old = recorded["repository"]["full_name"]
    old_owner, old_name = old.split("/")
    new_owner, new_name = new.split("/")
    owners = {old_owner, recorded["repository"]["owner"]["login"]}
    text = json.dumps({k: v for k, v in recorded.items() if k != "workflow_job"})
    text = text.replace(old, new)
    for owner in owners:
        text = re.sub(rf"(?<=[/\"]){re.escape(owner)}(?=[/\"{{:])", new_owner, text)
    text = text.replace(f'"name": "{old_name}"', f'"name": "{new_name}"')
    return json.loads(text) | {"workflow_job": copy.deepcopy(recorded["workflow_job"])}


def _job_fields(job: Job, action: str) -> dict[str, Any]:
    api = f"https://api.github.com/repos/{job.repository}"
    web = f"https://github.com/{job.repository}"
    started = job.started or job.completed or job.created
    # a job that never had a runner: reported as 0 and "" by some deliveries, and as null by others
    nobody: tuple[Any, Any] = (0, "") if action == "completed" else (None, None)
    has_runner = job.runner_id is not None
    return {
        "id": job.id,
        "run_id": job.run_id,
        "run_attempt": job.attempt,
        "run_url": f"{api}/actions/runs/{job.run_id}",
        "node_id": f"CR_kwDOLocalCloud{job.id}",
        "head_sha": f"{random.Random(job.run_id).getrandbits(160):040x}",
        "url": f"{api}/actions/jobs/{job.id}",
        "html_url": f"{web}/actions/runs/{job.run_id}/job/{job.id}",
        "check_run_url": f"{api}/check-runs/{job.id}",
        "status": action,
        "conclusion": job.conclusion if action == "completed" else None,
        "created_at": iso(job.created),
        "started_at": iso(started),
        "completed_at": iso(job.completed or started) if action == "completed" else None,
        "name": job.name,
        "labels": job.labels,
        "runner_id": job.runner_id if has_runner else nobody[0],
        "runner_name": job.runner_name if has_runner else nobody[1],
        "runner_group_id": job.runner_group if has_runner else nobody[0],
        "runner_group_name": "Default" if has_runner else nobody[1],
    }


def _steps(recorded: list[dict[str, Any]], job: Job, action: str) -> list[dict[str, Any]]:
    if action in ("queued", "waiting") or job.started is None:
        return []
    begun = iso(job.started)
    ended = iso(job.completed or job.started)
    steps = copy.deepcopy(recorded)
    for step in steps:
        step["started_at"] = begun if step["started_at"] else None
        step["completed_at"] = ended if step["completed_at"] else None
        step["conclusion"] = "success" if step["conclusion"] else None
    if job.conclusion == "failure" and job.result == "failure":
        steps[-1]["conclusion"] = "failure"
    return steps
