# SPDX-License-Identifier: MIT
"""The person who owns the account and runs the scaler's commands in a shell."""

from __future__ import annotations

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
