# SPDX-License-Identifier: MIT
"""The proxy before moto: every call of the programs passes here.

A call is recorded, checked against its role's policies (policy.py), given the faults that a test
asked for (faults.py), and passed on to moto as it was signed. Where AWS does more than moto
(services.py) the request is changed; then the proxy checks the signature itself and signs again
with the same credentials. Afterwards the cloud hears of calls that took effect.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..faults import Body, Cut, Error, Fault, Faults, Kill, Latency, Partial, Throttle, Timeout
from ..limits import PATIENCE
from ..serve import Answer, Request, Server
from . import objects, services, wire
from .fleets import Fleets
from .policy import Policies
from .wire import Call, Session

HOP_HEADERS = ("connection", "transfer-encoding", "keep-alive", "server", "date", "content-length")

# Told of each call that took effect, with moto's answer; must not block.
Hook = Callable[[Call, Answer], None]


class Calls:
    """The record of calls, newest last, and how many are under way."""

    def __init__(self):
        self.under_way = 0
        self._calls: list[Call] = []
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Count a call that has come in."""
        with self._lock:
            self.under_way += 1

    def add(self, call: Call) -> None:
        """Keep a call that has ended."""
        with self._lock:
            self.under_way -= 1
            self._calls.append(call)

    def clear(self) -> None:
        """Forget every call."""
        with self._lock:
            self._calls.clear()

    def __iter__(self) -> Iterator[Call]:
        with self._lock:
            return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def of(self, service: str, action: str = "", role: str = "") -> list[Call]:
        """Select calls by service, action and caller's role."""
        return [
            call
            for call in self
            if call.service == service and action in ("", call.action) and role in ("", call.role)
        ]


@dataclass
class Aws:
    """The proxy; `moto_port` is where moto listens, `sessions` the credentials that were given."""

    moto_port: int
    faults: Faults
    launches: services.Launches
    messages: services.Messages = field(default_factory=services.Messages)
    policies: Policies | None = None
    sessions: dict[str, Session] = field(default_factory=dict)
    hooks: dict[tuple[str, str], Hook] = field(default_factory=dict)
    calls: Calls = field(default_factory=Calls)
    log: Callable[[str], None] = print
    settings: dict[str, str] = field(default_factory=lambda: dict(services.SETTINGS))
    quotas: dict[str, float] = field(default_factory=lambda: dict(services.QUOTAS))
    fleets: Fleets | None = None

    def __post_init__(self):
        self._server = Server(self.handle, name="aws")
        self._local = threading.local()

    @property
    def url(self) -> str:
        """The endpoint that programs are given."""
        return f"http://127.0.0.1:{self._server.port}"

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()

    def is_drained(self) -> bool:
        """Tell whether all was handled that clients had sent before they went away."""
        return self._server.is_drained()

    def stop(self) -> None:
        """End every connection."""
        self._server.stop()

    def handle(self, request: Request) -> Answer | None:
        """Answer one call, or None to end its connection."""
        try:
            call = wire.parse(request)
        except wire.Malformed as problem:
            call = Call("unsigned", "", {}, "")
            return wire.refuse(call, "SerializationException", 400, str(problem))
        session = self.sessions.get(call.access_key)
        if session is not None:
            call.role, call.session = session.role, session.name
        started = time.monotonic()
        answer: Answer | None = None
        self.calls.begin()
        try:
            answer = self._answer(request, call, session)
        except Exception as problem:
            self.log(f"{call.service} {call.action} broke the local cloud: {problem!r}")
            answer = wire.refuse(call, "InternalFailure", 500, "the local cloud failed")
        finally:
            call.seconds = time.monotonic() - started
            call.status = answer.status if answer else 0
            call.error = (wire.error_code(answer) if answer else "") or call.error
            self.calls.add(call)
        return answer

    def _answer(self, request: Request, call: Call, session: Session | None) -> Answer | None:
        if session is not None and self.policies is not None:
            need = self.policies.refusal(call, session)
            if need is not None:
                caller = f"assumed-role/{session.role}/{session.name}"
                self.log(f"denied: {caller} {need.action} on {need.resource}")
                return wire.deny(call, need.action, need.resource, caller)
        faults = self.faults.take(call.service, call.action, call.parameters)
        call.faults = tuple(type(fault).__name__ for fault in faults)
        limit = None
        after: Fault | None = None
        for fault in faults:
            if isinstance(fault, Latency):
                self.faults.wait(fault.seconds)
            elif isinstance(fault, Partial):
                limit = fault.count
            elif isinstance(fault, Body) or (isinstance(fault, Cut | Kill) and not fault.before):
                after = fault
            else:
                return self._fail(call, fault)
        answer = self._take_effect(request, call, session, limit)
        if answer is not None and answer.body.startswith(b"<!doctype html"):
            self.log(f"moto failed in {call.service} {call.action}; see moto.log")
            answer = wire.refuse(call, "InternalFailure", 500, "moto failed")
        elif answer is not None:
            answer = wire.in_own_form(call, answer)
        if answer is not None and answer.status == 200:
            hook = self.hooks.get((call.service, call.action))
            if hook is not None:
                hook(call, answer)
        if isinstance(after, Kill):
            after.kill()
        if isinstance(after, Cut | Kill):
            return None
        return Answer(after.status, after.content) if isinstance(after, Body) else answer

    def _fail(self, call: Call, fault: Fault) -> Answer | None:
        if isinstance(fault, Error):
            return wire.refuse(call, fault.code, fault.status, fault.message)
        if isinstance(fault, Throttle):
            return wire.throttle(call)
        if isinstance(fault, Timeout):
            self.faults.wait(None)
        if isinstance(fault, Kill):
            fault.kill()
        call.error = type(fault).__name__
        return None

    def _take_effect(
        self, request: Request, call: Call, session: Session | None, limit: int | None
    ) -> Answer | None:
        def forward(parameters: dict[str, Any]) -> Answer | None:
            return self._forward_changed(request, call, session, parameters)

        match call.service, call.action:
            case "ec2", "RunInstances":
                return self.launches.run(call, limit, forward)
            case "ec2", "CreateFleet" if self.fleets is not None:
                launched = self.hooks.get(("ec2", "RunInstances"), lambda *_: None)
                return self.fleets.create(call, forward, launched)
            case "sqs", "SendMessage":
                return self.messages.send(call, forward)
            case "sqs", "SendMessageBatch":
                return self.messages.send_batch(call, forward)
            case "s3", _:
                return self._object(request, call, session)
            case "ssm", "PutParameter":
                return services.check_parameter(call) or self._forward(request)
            case "ssm", "DeleteParameters" | "GetParameters":
                return services.check_names(call) or self._forward(request)
            case "ssm", "GetServiceSetting":
                return services.setting(call, self.settings)
            case "servicequotas", "GetServiceQuota":
                return services.quota(call, self.quotas) or self._forward(request)
        return self._forward(request)

    def _object(self, request: Request, call: Call, session: Session | None) -> Answer | None:
        """Check what moto does not: how S3 is signed, and who may know that an object is absent."""
        fault = objects.fault(request, session.credentials) if session else None
        if fault is not None:
            return wire.refuse(call, fault[0], 403, fault[1])
        answer = self._forward(request)
        if answer and answer.status == 404 and call.action == "GetObject" and session:
            parameters = call.parameters
            need = Policies.listing(str(parameters["Bucket"]), str(parameters["Key"]))
            if self.policies and not self.policies.allows(session, need):
                return wire.deny(call, "s3:GetObject", str(parameters["Key"]), session.name)
        return answer

    def _forward_changed(
        self, request: Request, call: Call, session: Session | None, parameters: dict[str, Any]
    ) -> Answer | None:
        unchanged = parameters == call.parameters
        if unchanged or session is None or not wire.signature_holds(request, session):
            return self._forward(request)  # moto refuses what is not signed well
        return self._forward(wire.sign_again(request, wire.body_of(call, parameters), session))

    def _forward(self, request: Request) -> Answer | None:
        connection = self._connection()
        try:
            connection.putrequest(
                request.method,
                request.target or request.path,
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in request.headers.items():
                if name not in ("connection", "content-length", "expect"):
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in HOP_HEADERS
            }
            return Answer(answer.status, answer.read(), headers)
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            self.log(f"moto cannot be reached: {problem}")
            return None

    def _connection(self) -> http.client.HTTPConnection:
        """Give the connection to moto of this thread, which serves one connection of a client."""
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(
                "127.0.0.1", self.moto_port, PATIENCE
            )
        return self._local.connection
