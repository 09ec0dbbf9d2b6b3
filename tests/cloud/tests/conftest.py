# SPDX-License-Identifier: MIT
"""Fixtures for the tests of the local cloud itself: nothing boots, functions are an example."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from cloud.cloud import Cloud
from cloud.limits import PATIENCE

EXAMPLE = [sys.executable, "-I", "-S", str(Path(__file__).with_name("example_function.py"))]

Client = Callable[..., Any]


@pytest.fixture
def aws(local_cloud: Cloud) -> Cloud:
    """An empty cloud whose functions run the example."""
    cloud = local_cloud.reset(command=EXAMPLE)
    cloud.retry_delay = 0
    return cloud


@pytest.fixture
def client(aws: Cloud) -> Client:
    """Make clients that go through the proxy, with the session of a role."""

    def make(service: str, role: str, session: str = "local", **changed: Any) -> Any:
        given = aws.assume(role, session)
        timeout = changed.get("timeout", PATIENCE)
        config = Config(proxies={}, retries={"total_max_attempts": 1}, read_timeout=timeout)
        return boto3.client(
            service,
            endpoint_url=aws.aws_url,
            region_name=aws.region,
            config=config,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=changed.get("secret", given["SecretAccessKey"]),
            aws_session_token=given["Token"],
        )

    return make
