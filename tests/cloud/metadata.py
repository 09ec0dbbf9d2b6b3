# SPDX-License-Identifier: MIT
"""The metadata service of one machine (IMDSv2), on a port of the loopback.

Without a token it answers 401, as EC2 does where HttpTokens is required. The agent finds it through
AWS_EC2_METADATA_SERVICE_ENDPOINT. Faults are asked for with service "imds" and the path as action.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .faults import Body, Cut, Error, Faults, Latency, Throttle, Timeout
from .serve import Answer, Request, Server
from .tokens import iso

TOKEN_PATH = "/latest/api/token"
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"
LONGEST_TTL = 21600
ROLE = "RunnerRole"
REFRESH_SECONDS = 300


@dataclass
class Facts:
    """What EC2 knows about a machine and tells it."""

    instance_id: str
    instance_type: str
    zone: str
    region: str
    account: str
    image: str = "ami-00000000000000000"
    subnet: str = ""
    address: str = "10.0.0.4"
    market: str = "on-demand"
    launched: float = field(default_factory=time.time)
    tags: dict[str, str] = field(default_factory=dict)
    tags_shown: bool = True


class Metadata:
    """Serves the facts of a machine to those who have a token."""

    def __init__(self, facts: Facts, assume: Callable[[], dict[str, Any]], faults: Faults) -> None:
        self.facts = facts
        self.faults = faults
        self.calls: list[tuple[str, str, int]] = []
        self.instance_action: dict[str, str] | None = None
        self.rebalance: dict[str, str] | None = None
        self._assume = assume
        self._credentials: dict[str, str] | None = None
        self._credentials_end = 0.0
        self._tokens: dict[str, float] = {}
        self._server = Server(self._answer, name=f"imds-{facts.instance_id}")
        self.url = f"http://127.0.0.1:{self._server.port}"

    def start(self) -> None:
        """Answer the machine."""
        self._server.start()

    def stop(self) -> None:
        """The machine is off."""
        self._server.stop()

    def notice(self, at: float, action: str = "terminate") -> None:
        """Tell the machine that EC2 takes it back at this time."""
        self.instance_action = {"action": action, "time": iso(at)}
        self.rebalance = {"noticeTime": iso(time.time())}

    def _answer(self, request: Request) -> Answer | None:
        cut, replaced = False, None
        for fault in self.faults.take(
            "imds", request.path, {"InstanceId": self.facts.instance_id, "Method": request.method}
        ):
            if isinstance(fault, Latency):
                self.faults.wait(fault.seconds)
            elif isinstance(fault, Timeout):
                self.faults.wait(None)
                cut = True
            elif isinstance(fault, Cut):
                cut = True
            elif isinstance(fault, Error):
                replaced = Answer(fault.status, fault.message.encode())
            elif isinstance(fault, Throttle):
                replaced = Answer(503, b"Service Unavailable")
            elif isinstance(fault, Body):
                replaced = Answer(fault.status, fault.content)
        answer = None if cut else replaced or self._serve(request)
        self.calls.append((request.method, request.path, answer.status if answer else 0))
        return answer

    def _serve(self, request: Request) -> Answer:
        if request.path == TOKEN_PATH:
            return self._token(request)
        if request.method != "GET":
            return Answer(405, b"Method Not Allowed")
        if self._tokens.get(request.headers.get(TOKEN_HEADER, ""), 0) < time.monotonic():
            return Answer(401, b"Unauthorized")
        path = request.path.removeprefix("/latest/")
        if path == "dynamic/instance-identity/document":
            return _text(json.dumps(self._identity(), indent=2))
        found = self._meta_data(path.removeprefix("meta-data/"))
        return Answer(404, b"Not Found") if found is None else _text(found)

    def _token(self, request: Request) -> Answer:
        if request.method != "PUT":
            return Answer(405, b"Method Not Allowed")
        if "x-forwarded-for" in request.headers:
            return Answer(403, b"Forbidden")
        ttl = request.headers.get(TTL_HEADER, "")
        if not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST_TTL:
            return Answer(400, b"Bad Request")
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + int(ttl)
        return Answer(200, token.encode(), {"Content-Type": "text/plain", TTL_HEADER: ttl})

    def _meta_data(self, path: str) -> str | None:
        facts = self.facts
        plain = {
            "ami-id": facts.image,
            "instance-id": facts.instance_id,
            "instance-type": facts.instance_type,
            "instance-life-cycle": facts.market,
            "local-ipv4": facts.address,
            "placement/availability-zone": facts.zone,
            "placement/region": facts.region,
            "iam/security-credentials": ROLE,
        }
        if path.rstrip("/") in plain:
            return plain[path.rstrip("/")]
        if path == f"iam/security-credentials/{ROLE}":
            return json.dumps(self._current_credentials(), indent=2)
        if path == "spot/instance-action" and self.instance_action:
            return json.dumps(self.instance_action)
        if path == "events/recommendations/rebalance" and self.rebalance:
            return json.dumps(self.rebalance)
        if facts.tags_shown and path.rstrip("/") == "tags/instance":
            return "\n".join(facts.tags)
        if facts.tags_shown and path.startswith("tags/instance/"):
            return facts.tags.get(path.removeprefix("tags/instance/"))
        return None

    def _identity(self) -> dict[str, Any]:
        facts = self.facts
        return {
            "accountId": facts.account,
            "architecture": "x86_64",
            "availabilityZone": facts.zone,
            "billingProducts": None,
            "devpayProductCodes": None,
            "marketplaceProductCodes": None,
            "imageId": facts.image,
            "instanceId": facts.instance_id,
            "instanceType": facts.instance_type,
            "kernelId": None,
            "pendingTime": iso(facts.launched),
            "privateIp": facts.address,
            "ramdiskId": None,
            "region": facts.region,
            "version": "2017-09-30",
        }

    def _current_credentials(self) -> dict[str, str]:
        if self._credentials is None or time.time() > self._credentials_end - REFRESH_SECONDS:
            given = self._assume()
            end = given["Expiration"]
            if isinstance(end, str):
                end = datetime.fromisoformat(end.replace("Z", "+00:00"))
            self._credentials_end = end.timestamp()
            self._credentials = {
                "Code": "Success",
                "LastUpdated": iso(time.time()),
                "Type": "AWS-HMAC",
                "AccessKeyId": given["AccessKeyId"],
                "SecretAccessKey": given["SecretAccessKey"],
                "Token": given.get("Token") or given["SessionToken"],
                "Expiration": iso(self._credentials_end),
            }
        return self._credentials


def _text(content: str) -> Answer:
    return Answer(200, content.encode(), {"Content-Type": "text/plain"})
