# SPDX-License-Identifier: MIT
"""S3 on the wire, and what S3 checks that moto does not.

S3 signs differently from AWS's other services: the path is encoded once, a header names the body's
hash, and each header that begins with x-amz- has to be signed.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from ..serve import Request

SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request")
PLAIN = "-_.~"


def read(request: Request) -> tuple[str, dict[str, Any]]:
    """Read a request at an endpoint of buckets as paths: the action, and its parameters."""
    bucket, _, key = request.path.removeprefix("/").partition("/")
    parameters = {name: values[-1] for name, values in request.query.items()}
    if not key:
        return "ListObjectsV2", {**parameters, "Bucket": bucket}
    actions = {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
    return actions.get(request.method, request.method), {**parameters, "Bucket": bucket, "Key": key}


def fault(request: Request, credentials: Any) -> tuple[str, str] | None:
    """Tell what is wrong with a request's signature: S3's code and why; None: it holds."""
    headers = request.headers
    authorization = headers.get("authorization", "")
    scope = SCOPE.search(authorization)
    signed = re.search(r"SignedHeaders=([^,\s]+)", authorization)
    signature = re.search(r"Signature=([0-9a-f]+)", authorization)
    if not (scope and signed and signature):
        return "AccessDenied", "the request is not signed"
    said = headers.get("x-amz-content-sha256")
    if said is None:
        return "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
    if said != hashlib.sha256(request.body).hexdigest():
        return "XAmzContentSHA256Mismatch", "the header does not match what was computed"
    names = signed[1].split(";")
    for name in headers:
        if name not in names and (name.startswith("x-amz-") or name in ("host", "content-type")):
            return "AccessDenied", f"There were headers which were not signed: {name}"
    if headers.get("x-amz-security-token", "") != credentials.token:
        return "InvalidToken", "The provided token is malformed or otherwise invalid."
    original = AWSRequest(
        request.method, _canonical(request.target), headers={name: headers[name] for name in names}
    )
    original.context["timestamp"] = headers.get("x-amz-date", "")
    auth = S3SigV4Auth(credentials, "s3", scope[1])
    to_sign = auth.string_to_sign(original, _canonical_request(auth, original, said))
    if auth.signature(to_sign, original) != signature[1]:
        return "SignatureDoesNotMatch", "The request signature does not match."
    return None


def _canonical(target: str) -> str:
    """Write path and query as S3 does, whatever the client wrote."""
    split = urlsplit(target)
    path = quote(unquote(split.path), safe=f"/{PLAIN}")
    pairs = sorted(parse_qsl(split.query, keep_blank_values=True))
    query = "&".join(
        f"{quote(name, safe=PLAIN)}={quote(value, safe=PLAIN)}" for name, value in pairs
    )
    return f"https://host{path}" + (f"?{query}" if query else "")


def _canonical_request(auth: S3SigV4Auth, request: AWSRequest, content: str) -> str:
    to_sign = auth.headers_to_sign(request)
    split = urlsplit(request.url)
    return "\n".join(
        [
            request.method,
            split.path,
            split.query,
            auth.canonical_headers(to_sign) + "\n",
            auth.signed_headers(to_sign),
            content,
        ]
    )
