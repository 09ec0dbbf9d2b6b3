# SPDX-License-Identifier: MIT
"""The person who owns the account and runs the scaler's commands in a shell."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cloud.cloud import Cloud


def owner_environment(cloud: Cloud) -> dict[str, str]:
    """Give the settings of a shell with the owner's key."""
    key = cloud.client("iam").create_access_key(UserName="owner")["AccessKey"]
    return cloud.environment | {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": cloud.region,
        "AWS_ENDPOINT_URL": cloud.aws_url,
    }


def other_key() -> str:
    """Make a private key that is of no App that GitHub knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, plain).decode()
