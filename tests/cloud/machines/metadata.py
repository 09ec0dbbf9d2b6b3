# SPDX-License-Identifier: MIT
"""The metadata service of one machine (IMDSv2), on a port of the loopback.

Without a token it answers 401, as EC2 does where HttpTokens is required. The agent finds it through
AWS_EC2_METADATA_SERVICE_ENDPOINT. Faults are asked for with service "imds" and the path as action.

Folders list what is in them, in every version: cloud-init reads all that there is.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..faults import Body, Cut, Error, Faults, Latency, Throttle, Timeout
from ..serve import Answer, Request, Server, iso

TOKEN_PATH = "/latest/api/token"
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"
LONGEST_TTL = 21600
ROLE = "RunnerRole"
REFRESH_SECONDS = 300
VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest")
CREDENTIALS = f"iam/security-credentials/{ROLE}"


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
    user_data: str = ""
    mac: str = "52:54:00:12:34:56"  # QEMU's first card


class Metadata:
    """Serves the facts of a machine to requests with a token."""

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
        if request.path == "/":
            return _text("\n".join(VERSIONS))
        version, _, path = request.path.removeprefix("/").partition("/")
        found = self._find(path) if version in VERSIONS else None
        return Answer(404, b"Not Found") if found is None else _text(found)

    def _find(self, path: str) -> str | None:
        if path == "user-data":
            return self.facts.user_data or None
        if path == "dynamic/instance-identity/document":
            return json.dumps(self._identity(), indent=2)
        if path.rstrip("/") == "dynamic/instance-identity":
            return "document"
        top, _, path = path.partition("/")
        if top != "meta-data":
            return None
        if path == CREDENTIALS:
            return json.dumps(self._current_credentials(), indent=2)
        tree = self._meta_data()
        path = re.sub("/+", "/", path).rstrip("/")
        return tree[path] if path in tree else _listing(tree, path)

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

    def _meta_data(self) -> dict[str, str]:
        """All that is there now, by path; credentials are made when they are asked for."""
        facts = self.facts
        name = f"ip-{facts.address.replace('.', '-')}.{facts.region}.compute.internal"
        tree = {
            "ami-id": facts.image,
            "ami-launch-index": "0",
            "ami-manifest-path": "(unknown)",
            "block-device-mapping/ami": "/dev/xvda",
            "block-device-mapping/root": "/dev/xvda",
            "hostname": name,
            "iam/info": json.dumps({"Code": "Success", "InstanceProfileId": ROLE}),
            CREDENTIALS: "",
            "instance-action": "none",
            "instance-id": facts.instance_id,
            "instance-life-cycle": facts.market,
            "instance-type": facts.instance_type,
            "local-hostname": name,
            "local-ipv4": facts.address,
            "mac": facts.mac,
            **self._interface(name),
            "placement/availability-zone": facts.zone,
            "placement/region": facts.region,
            "profile": "default-hvm",
            "reservation-id": "r-00000000000000000",
            "security-groups": "default",
            "services/domain": "amazonaws.com",
            "services/partition": "aws",
        }
        if self.instance_action:
            tree["spot/instance-action"] = json.dumps(self.instance_action)
        if self.rebalance:
            tree["events/recommendations/rebalance"] = json.dumps(self.rebalance)
        if facts.tags_shown:
            tree |= {f"tags/instance/{key}": value for key, value in facts.tags.items()}
        return tree

    def _interface(self, name: str) -> dict[str, str]:
        facts = self.facts
        folder = f"network/interfaces/macs/{facts.mac}"
        block = f"{facts.address.rpartition('.')[0]}.0/24"
        values = {
            "device-number": "0",
            "interface-id": "eni-00000000000000000",
            "local-hostname": name,
            "local-ipv4s": facts.address,
            "mac": facts.mac,
            "owner-id": facts.account,
            "security-group-ids": "sg-00000000000000000",
            "security-groups": "default",
            "subnet-id": facts.subnet,
            "subnet-ipv4-cidr-block": block,
            "vpc-id": "vpc-00000000000000000",
            "vpc-ipv4-cidr-block": block,
            "vpc-ipv4-cidr-blocks": block,
        }
        return {f"{folder}/{key}": value for key, value in values.items()}

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


def _listing(tree: dict[str, str], folder: str) -> str | None:
    """List a folder, a name a line, folders with a slash. Names of tags may contain slashes."""
    start = f"{folder}/" if folder else ""
    inside = [path.removeprefix(start) for path in tree if path.startswith(start)]
    if folder == "tags/instance":
        return "\n".join(inside) if inside else None
    names = dict.fromkeys(re.sub("/.*", "/", path) for path in inside)
    return "\n".join(names) if names else None


def _text(content: str) -> Answer:
    return Answer(200, content.encode(), {"Content-Type": "text/plain"})
