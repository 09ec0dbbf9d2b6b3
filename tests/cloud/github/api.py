# SPDX-License-Identifier: MIT
"""The REST API of GitHub's stand-in.

Every request is judged before it is served: the operation must exist in GitHub's description, its
parameters and body must fit, the caller must be who it says and may do what it asks, and the rate
limits must have room. Every answer is judged too. What breaks the description is recorded as a
violation, which a test fails on.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..faults import Body, Cut, Error, Fault, Faults, Kill, Latency, Throttle, Timeout
from ..serve import Answer, Request
from .hooks import HOOK_OPERATIONS, scope_of
from .openapi import Operation
from .operations import OPERATIONS
from .runs import RUN_OPERATIONS
from .tokens import App, Refused, Token

if TYPE_CHECKING:
    from .stand_in import GitHub

VERSIONS = ("2022-11-28", "2026-03-10")
MEDIA_TYPES = ("application/vnd.github+json", "application/vnd.github.v3+json", "application/json")
DOCUMENTATION = "https://docs.github.com/rest"
POINTS = {"GET": 1, "HEAD": 1}
POINTS_OF_A_WRITE = 5


@dataclass
class Call:
    """One request as it was served."""

    operation: str
    method: str
    path: str
    body: Any
    at: float = field(default_factory=time.time)
    status: int = 0
    seconds: float = 0.0
    fault: str = ""
    document: Any = None


# What anybody may read.
PUBLIC = ("repos/list-releases",)


class Limits:
    """GitHub's primary limit per hour and its secondary limits per minute and at once."""

    def __init__(self) -> None:
        self.per_hour = 5000
        self.points_per_minute = 900
        self.at_once = 100
        self.used = 0
        self.reset = int(time.time()) + 3600
        self._open = 0
        self._points: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def enter(self, method: str) -> None:
        """Count a request; refuse it where a limit is reached."""
        now = time.monotonic()
        with self._lock:
            self._open += 1
            while self._points and self._points[0][0] < now - 60:
                self._points.popleft()
            if self.used >= self.per_hour:
                raise Refused(403, "API rate limit exceeded for installation.")
            self.used += 1
            points = POINTS.get(method, POINTS_OF_A_WRITE)
            if self._open > self.at_once:
                raise secondary_limit(60)
            if sum(p for _, p in self._points) + points > self.points_per_minute:
                raise secondary_limit(int(60 - (now - self._points[0][0])) + 1)
            self._points.append((now, points))

    def leave(self) -> None:
        """A request is answered."""
        with self._lock:
            self._open -= 1

    def headers(self) -> dict[str, str]:
        """What GitHub says about the primary limit on each answer."""
        return {
            "X-RateLimit-Limit": str(self.per_hour),
            "X-RateLimit-Remaining": str(max(0, self.per_hour - self.used)),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Resource": "core",
        }


def secondary_limit(seconds: int, status: int = 403) -> Refused:
    """The refusal of a caller that is too quick."""
    words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try"
    return Refused(status, f"{words} again.", {"Retry-After": str(seconds)})


class Api:
    """Serves requests one by one; `calls` is the record."""

    def __init__(self, github: GitHub, base_path: str, faults: Faults) -> None:
        self.github = github
        self.base_path = base_path
        self.faults = faults
        self.calls: list[Call] = []
        self.limits = Limits()  # of the first App's installation, and of persons
        self._limits: dict[str, Limits] = {}

    def answer(self, request: Request) -> Answer | None:
        """Serve one request; None cuts the connection."""
        began = time.monotonic()
        call = Call("", request.method, request.path, None)
        self.calls.append(call)
        limits = self._limits_of(request.headers.get("authorization", ""))
        try:
            limits.enter(request.method)
            answer = self._judged(request, call)
        except Refused as refused:
            answer = self._refusal(refused, call)
        finally:
            limits.leave()
        call.status = answer.status if answer else 0
        call.seconds = time.monotonic() - began
        if answer is not None:
            answer.headers |= self._headers(limits)
        return answer

    def limits_of(self, number: int) -> Limits:
        """Give the limits of an additional App's installation, or of its own calls by its id."""
        return self._limits.setdefault(str(number), Limits())

    def _limits_of(self, authorization: str) -> Limits:
        doorman = self.github.doorman
        text = authorization.partition(" ")[2]
        token = doorman.tokens.get(text)
        if token is None:
            app = doorman.issuer(text)
            return self.limits if app in (None, doorman.first) else self.limits_of(app.id)
        if token.text == doorman.enterprise_token:
            return self._limits.setdefault("enterprise", Limits())
        own = token.installation is None or token.installation.id in doorman.installations
        return self.limits if own else self.limits_of(token.installation.id)

    def _judged(self, request: Request, call: Call) -> Answer | None:
        operation, names, call.body = self._read(request, call)
        fault = self._fault(operation.id, names, call)
        if isinstance(fault, Kill) and fault.before:
            fault.kill()
        if isinstance(fault, Cut | Kill) and fault.before:
            return None
        authorization = request.headers.get("authorization", "")
        request.caller = self._authorize(authorization, operation, names)
        status, call.document, *more = OPERATIONS[operation.id](
            self.github, names, request, call.body or {}
        )
        problems = self.github.description.check_answer(operation, status, call.document)
        if problems:
            self.github.violations += problems
            raise Refused(500, "; ".join(problems))
        if isinstance(fault, Kill):
            fault.kill()
        if isinstance(fault, Cut | Kill):
            return None
        if isinstance(fault, Body):
            return Answer(fault.status, fault.content, {"Content-Type": "application/json"})
        if call.document is None:
            return Answer(status)
        answer = Answer.of(status, call.document)
        answer.headers |= more[0] if more else {}
        return answer

    def _fault(self, operation: str, names: dict[str, str], call: Call) -> Fault | None:
        """Take this call's faults, and apply those that come before any effect."""
        body = call.body if isinstance(call.body, dict) else {}
        remaining = None
        for fault in self.faults.take("github", operation, names | body):
            if isinstance(fault, Latency):
                self.faults.wait(fault.seconds)
                continue
            call.fault = type(fault).__name__
            if isinstance(fault, Timeout):
                self.faults.wait(None)
                remaining = Cut()
            elif isinstance(fault, Error):
                raise Refused(fault.status, fault.message)
            elif isinstance(fault, Throttle):
                raise secondary_limit(1)
            else:
                remaining = fault
        return remaining

    def _read(self, request: Request, call: Call) -> tuple[Operation, dict[str, str], Any]:
        if not request.headers.get("user-agent"):
            raise Refused(
                403,
                "Request forbidden by administrative rules. Please make sure your"
                " request has a User-Agent header.",
            )
        path = request.path.removeprefix(self.base_path)
        found = self.github.description.match(request.method, path)
        if not request.path.startswith(self.base_path) or found is None:
            self._violation(f"{request.method} {request.path}: unknown operation")
            raise Refused(404, "Not Found")
        operation, names = found
        call.operation = operation.id
        body = self._body(request, operation)
        description = self.github.description
        problems = description.check_request(operation, names, request.query, body)
        problems += _header_problems(request, operation)
        if problems:
            for problem in problems:
                self._violation(problem)
            raise Refused(422, "Invalid request.\n\n" + "; ".join(problems))
        return operation, names, body

    def _body(self, request: Request, operation: Operation) -> Any:
        if not request.body:
            return None
        try:
            return json.loads(request.body)
        except ValueError as error:
            self._violation(f"{operation.id}: body: not JSON")
            raise Refused(400, "Problems parsing JSON") from error

    def _authorize(
        self, authorization: str, operation: Operation, names: dict[str, str]
    ) -> App | Token:
        doorman = self.github.doorman
        if operation.id.startswith("apps/"):
            return doorman.app(authorization)
        if operation.id in PUBLIC:
            return doorman.anyone(authorization)
        level = "read" if operation.method == "get" else "write"
        permission = "administration"
        if operation.id in RUN_OPERATIONS:
            permission = "actions"
        elif operation.id in HOOK_OPERATIONS:
            permission = "organization_hooks" if "org" in names else "repository_hooks"
        elif "org" in names:
            permission = "organization_self_hosted_runners"
        return doorman.token(authorization, scope_of(names), permission, level)

    def _refusal(self, refused: Refused, call: Call) -> Answer:
        document: dict[str, Any] = {
            "message": refused.message,
            "documentation_url": DOCUMENTATION,
            "status": str(refused.status),
        }
        call.document = document
        answer = Answer.of(refused.status, document)
        answer.headers |= refused.headers
        return answer

    def _headers(self, limits: Limits) -> dict[str, str]:
        return limits.headers() | {
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": uuid.uuid4().hex.upper()[:32],
            "X-GitHub-Api-Version-Selected": VERSIONS[0],
        }

    def _violation(self, text: str) -> None:
        self.github.violations.append(text)


def _header_problems(request: Request, operation: Operation) -> list[str]:
    problems = []
    accept = request.headers.get("accept", "*/*")
    if accept != "*/*" and accept not in MEDIA_TYPES:
        problems.append(f"{operation.id}: Accept: {accept}")
    version = request.headers.get("x-github-api-version", VERSIONS[0])
    if version not in VERSIONS:
        problems.append(f"{operation.id}: X-GitHub-Api-Version: {version}")
    kind = request.headers.get("content-type", "").split(";")[0]
    if request.body and kind != "application/json":
        problems.append(f"{operation.id}: Content-Type: {kind or 'missing'}")
    return problems
