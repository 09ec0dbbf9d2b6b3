# SPDX-License-Identifier: MIT
"""AWS on the wire: parses requests and their signatures, and writes errors as each service does.

EC2 speaks forms and XML, S3 speaks paths and XML (objects.py), the other services of this project
speak JSON with a target header. The
signature is looked at here only where the proxy has to change a request (see proxy.py); all others
reach moto as they were signed, and moto checks them.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode
from xml.sax.saxutils import escape

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ..serve import Answer, Request
from . import objects

SCOPE = re.compile(r"Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request")
QUERY_SERVICES = ("ec2", "sts", "iam")

# What IAM's errors are called by services that speak JSON.
IDENTITY_ERRORS = {
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "AccessDenied": "AccessDeniedException",
}


@dataclass
class Session:
    """Temporary credentials of a role; the name of a machine's session is its instance id."""

    role: str
    name: str
    credentials: Credentials


@dataclass
class Call:
    """One call to AWS, as tests count and inspect them."""

    service: str
    action: str
    parameters: dict[str, Any]
    access_key: str
    role: str = ""
    session: str = ""
    time: float = field(default_factory=time.time)
    status: int = 0
    error: str = ""
    seconds: float = 0.0
    faults: tuple[str, ...] = ()

    def names(self, name: str) -> list[str]:
        """Give a list parameter: a JSON list, or EC2's Name.1, Name.2 and so on."""
        value = self.parameters.get(name)
        if isinstance(value, list):
            return [str(one) for one in value]
        members = ((key, one) for key, one in self.parameters.items() if key.startswith(f"{name}."))
        return [str(one) for key, one in members if key[len(name) + 1 :].isdigit()]


class Malformed(Exception):
    """A request that is no AWS call."""


def parse(request: Request) -> Call:
    """Read which call a request is; unsigned requests belong to service "unsigned"."""
    scope = SCOPE.search(request.headers.get("authorization", ""))
    access_key, service = (scope[1], scope[4]) if scope else ("", "unsigned")
    target = request.headers.get("x-amz-target", "")
    parameters: Any
    if service == "s3":
        action, parameters = objects.read(request)
        return Call(service, action, parameters, access_key)
    try:
        if target:
            parameters = json.loads(request.body or b"{}")
            action = target.rsplit(".", 1)[-1]
        else:
            text = request.body.decode()
            parameters = dict(parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)))
            action = parameters.get("Action", "")
    except ValueError as problem:
        raise Malformed(str(problem)) from problem
    if not isinstance(parameters, dict):
        raise Malformed("the body is not a JSON object")
    if action == "RunInstances":
        market = parameters.get("InstanceMarketOptions.MarketType", "on-demand")
        parameters = {**parameters, "Market": market}
    return Call(service, action, parameters, access_key)


def body_of(call: Call, parameters: dict[str, Any]) -> bytes:
    """Write changed parameters the way that the call's service reads them."""
    if call.service in QUERY_SERVICES:
        plain = {name: value for name, value in parameters.items() if name != "Market"}
        return urlencode(plain, quote_via=quote_plus).encode()
    return json.dumps(parameters).encode()


def refuse(call: Call, code: str, status: int, message: str) -> Answer:
    """Answer with an error in the form of the call's service."""
    call.error = code
    request_id = str(uuid.uuid4())
    if call.service == "ec2":
        text = (
            f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}"
            f"</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
        return Answer(status, _xml(text), {"Content-Type": "text/xml;charset=UTF-8"})
    if call.service == "s3":
        text = (
            f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
        return Answer(status, _xml(text), {"Content-Type": "application/xml"})
    if call.service in QUERY_SERVICES:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>"
            f"{escape(message)}</Message></Error><RequestId>{request_id}</RequestId>"
            "</ErrorResponse>"
        )
        return Answer(status, _xml(text), {"Content-Type": "text/xml"})
    document = json.dumps({"__type": code, "message": message}).encode()
    version = "1.0" if call.service == "sqs" else "1.1"
    headers = {"Content-Type": f"application/x-amz-json-{version}", "x-amzn-RequestId": request_id}
    return Answer(status, document, headers)


def _xml(text: str) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + text).encode()


def throttle(call: Call) -> Answer:
    """Say that there are too many calls."""
    if call.service == "ec2":
        return refuse(call, "RequestLimitExceeded", 503, "Request limit exceeded.")
    if call.service == "s3":
        return refuse(call, "SlowDown", 503, "Please reduce your request rate.")
    return refuse(call, "ThrottlingException", 400, "Rate exceeded")


def deny(call: Call, action: str, resource: str, caller: str) -> Answer:
    """Say that the caller's policies do not allow this."""
    message = (
        f"User: {caller} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    if call.service == "ec2":
        return refuse(call, "UnauthorizedOperation", 403, f"You are not authorized. {message}")
    if call.service == "s3":
        return refuse(call, "AccessDenied", 403, message)
    return refuse(call, "AccessDeniedException", 400, message)


def error_code(answer: Answer) -> str:
    """Find the error code in an answer, for the record."""
    if answer.status < 400:
        return ""
    found = re.search(rb"<Code>([^<]+)</Code>", answer.body)
    if found is None:
        found = re.search(rb'"__type"\s*:\s*"([^"]+)"', answer.body)
    return found[1].decode().rsplit("#", 1)[-1] if found else str(answer.status)


def in_own_form(call: Call, answer: Answer) -> Answer:
    """Rewrite an error that moto gives in IAM's form for a service that speaks JSON."""
    if (
        answer.status < 400
        or call.service in (*QUERY_SERVICES, "s3")
        or answer.body.startswith(b"{")
    ):
        return answer
    code = error_code(answer)
    found = re.search(rb"<Message>(.*?)</Message>", answer.body, re.DOTALL)
    message = found[1].decode() if found else code
    return refuse(call, IDENTITY_ERRORS.get(code, code), 400, message)


def signature_holds(request: Request, session: Session) -> bool:
    """Check a request's signature against the credentials of its session."""
    authorization = request.headers.get("authorization", "")
    scope = SCOPE.search(authorization)
    signed = re.search(r"SignedHeaders=([^,\s]+)", authorization)
    signature = re.search(r"Signature=([0-9a-f]+)", authorization)
    if not (scope and signed and signature):
        return False
    names = signed[1].split(";")
    headers = {name: request.headers.get(name, "") for name in names}
    original = AWSRequest(request.method, request.path, data=request.body, headers=headers)
    original.context["timestamp"] = request.headers.get("x-amz-date", "")
    auth = SigV4Auth(session.credentials, scope[4], scope[3])
    to_sign = auth.string_to_sign(original, auth.canonical_request(original))
    token = request.headers.get("x-amz-security-token", "")
    return token == session.credentials.token and signature[1] == auth.signature(to_sign, original)


def sign_again(request: Request, body: bytes, session: Session) -> Request:
    """Give a request another body, signed with the same credentials."""
    scope = SCOPE.search(request.headers["authorization"])
    assert scope is not None
    drop = ("authorization", "x-amz-date", "x-amz-security-token", "content-length", "host")
    headers = {name: value for name, value in request.headers.items() if name not in drop}
    headers.pop("x-amz-content-sha256", None)
    host = request.headers.get("host", "localhost")
    changed = AWSRequest("POST", f"http://{host}/", data=body, headers=headers)
    SigV4Auth(session.credentials, scope[4], scope[3]).add_auth(changed)
    signed = {name.lower(): str(value) for name, value in changed.headers.items()}
    return Request(request.method, request.path, request.query, {**signed, "host": host}, body)
