# SPDX-License-Identifier: MIT
"""The function URL: GitHub's webhook arrives here as HTTP and reaches its function as an event.

Events have payload format 2.0. As with a real function URL, header names are in lower case. A body
stays text if its type is text/* or JSON and it is valid UTF-8; any other (a form, say) is base64.
A request of more than 6 MB is refused with 413, and a failed function is a 502.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from ..serve import Answer, Request, Server
from .sandbox import PAYLOAD_LIMIT, FunctionError

URL_ID = "localfunctionurl"
DOMAIN = f"{URL_ID}.lambda-url.eu-central-1.on.aws"
TEXT_TYPES = ("application/json", "application/javascript", "application/xml")

Invoke = Callable[[bytes], bytes]


def event_of(request: Request) -> dict[str, Any]:
    """Write a request as an event of format 2.0."""
    now = datetime.now(timezone.utc)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": quote(request.path),
        "rawQueryString": urlencode(request.query, doseq=True),
        "headers": dict(request.headers),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": URL_ID,
            "domainName": DOMAIN,
            "domainPrefix": URL_ID,
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": request.headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if request.query:
        event["queryStringParameters"] = {
            name: ",".join(values) for name, values in request.query.items()
        }
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def _body(request: Request) -> tuple[str, bool]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind.startswith("text/") or kind in TEXT_TYPES or kind.endswith("+json"):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def answer_of(raw: bytes) -> Answer:
    """Read a function's answer: one with a status, or any JSON, which is a 200 by itself."""
    document = json.loads(raw)
    if not isinstance(document, dict) or "statusCode" not in document:
        return Answer(200, raw, {"Content-Type": "application/json"})
    body = str(document.get("body") or "").encode()
    if document.get("isBase64Encoded"):
        body = base64.b64decode(body)
    headers = {str(name): str(value) for name, value in (document.get("headers") or {}).items()}
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return Answer(int(document["statusCode"]), body, headers)


class FunctionUrl:
    """Serves one function under a URL."""

    def __init__(self, invoke: Invoke):
        self._invoke = invoke
        self._server = Server(self._handle, name="function-url")
        self.url = f"http://127.0.0.1:{self._server.port}/"

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()

    def stop(self) -> None:
        """End every connection."""
        self._server.stop()

    def _handle(self, request: Request) -> Answer:
        event = json.dumps(event_of(request)).encode()
        if len(event) > PAYLOAD_LIMIT:
            message = f"Request must be smaller than {PAYLOAD_LIMIT} bytes for the InvokeFunction"
            return Answer.of(413, {"Message": f"{message} operation"})
        try:
            return answer_of(self._invoke(event))
        except (FunctionError, ValueError, TypeError):
            return Answer(502, b"Internal Server Error", {"Content-Type": "text/plain"})
