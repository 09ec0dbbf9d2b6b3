# SPDX-License-Identifier: MIT
"""S3 in the local cloud: what S3 refuses of a signature, and who hears that nothing is there."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cloud.aws import objects
from cloud.serve import Request

OURS = Credentials("AKID", "secret", "token")
KEY = "arn%3Aaws%3Aec2%3Aeu-central-1%3A1%3Ainstance/i-1"
EMPTY = hashlib.sha256(b"").hexdigest()


def signed(method="GET", target=f"/b/{KEY}", body=b"", auth=S3SigV4Auth, **headers):
    """Sign a request as botocore does; None leaves a header out of what is sent."""
    made = AWSRequest(method, f"http://host{target}", data=body, headers={"host": "host"})
    auth(OURS, "s3", "eu-central-1").add_auth(made)
    sent = {name.lower(): str(value) for name, value in made.headers.items()}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    given = {name: value for name, value in sent.items() if value is not None}
    split = urlsplit(target)
    return Request(method, split.path, {}, given, body, target)


def code(request):
    found = objects.fault(request, OURS)
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", f"/b/{KEY}", b""),
        ("PUT", f"/b/{KEY}", b'{"a":1}'),
        ("DELETE", f"/b/{KEY}", b""),
        ("GET", "/b/?list-type=2&prefix=arn%3Aaws", b""),
        ("GET", "/b/?continuation-token=1a%2B%3D&list-type=2&prefix=arn%3Aaws%2F", b""),
    ],
)
def test_what_botocore_signs_holds(method, target, body):
    assert code(signed(method, target, body)) == ""


def test_each_rule_of_s3_is_kept():
    assert code(signed(x_amz_content_sha256=None)) == "InvalidRequest"
    assert code(signed(x_amz_content_sha256="0" * 64)) == "XAmzContentSHA256Mismatch"
    assert code(signed(x_amz_acl="public-read")) == "AccessDenied"  # it is not signed
    assert code(signed(content_type="text/plain")) == "AccessDenied"
    assert code(signed(x_amz_security_token="other")) == "InvalidToken"
    assert code(signed(authorization="AWS4-HMAC-SHA256")) == "AccessDenied"
    assert code(signed(host="elsewhere")) == "SignatureDoesNotMatch"
    assert code(signed(x_amz_date="20260101T000000Z")) == "SignatureDoesNotMatch"


class Twice(S3SigV4Auth):
    """Encodes the path once more, as it is done for AWS's other services."""

    def _normalize_url_path(self, path):
        return SigV4Auth._normalize_url_path(self, path)


def test_a_path_that_is_encoded_twice_does_not_hold():
    assert code(signed(auth=Twice)) == "SignatureDoesNotMatch"
    assert code(signed(auth=Twice, target="/b/k")) == ""


def test_a_request_is_read_by_its_path():
    assert objects.read(signed(target="/b/k")) == ("GetObject", {"Bucket": "b", "Key": "k"})
    assert objects.read(signed(target="/b/")) == ("ListObjectsV2", {"Bucket": "b"})
