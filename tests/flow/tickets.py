# SPDX-License-Identifier: MIT
"""Tickets as the scaler signs them, and reports that carry them, made without its code."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from helpers import job_url

from cloud.cloud import Cloud

KEY = "0123456789abcdef" * 4
NEVER = 9_000_000_000_000_000
INSTANCE = "i-0123456789abcdef0"

Document = dict[str, Any]


def sign(content: Document | str, key: str = KEY) -> str:
    """Sign the content of a ticket."""
    text = content if isinstance(content, str) else json.dumps(content)
    start = f"1.{hashlib.sha256(key.encode()).hexdigest()[:8]}.{text}"
    return f"{start}.{hmac.new(key.encode(), start.encode(), hashlib.sha256).hexdigest()}"


def content(cloud: Cloud, times: Document, **changes: Any) -> Document:
    """Give what a ticket says of a launch."""
    before = {name: times.get(name, 0) for name in ("queued", "webhook", "launched", "handed_over")}
    return {
        "prefix": "/scale-agent", "account": cloud.account, "region": cloud.region,
        "instance": INSTANCE, "type": "m7a.large", "spec": "linux-x64",
        "scope": "repos/octo-org/one", "runner": 23, "expires": NEVER,
        "job": 5, "run": 1005, "attempt": 1, "installation": 4711, "launch": 0, "relaunches": 0,
        "offer": 0, "repository": "octo-org/one", "name": "build-5", "url": job_url(5),
        "first_type": "m7i.large",
    } | before | changes  # fmt: skip


def event(cloud: Cloud, source: str, detail_type: str, detail: Any) -> Document:
    """Make an event as EventBridge delivers it."""
    return {
        "source": source, "detail-type": detail_type, "detail": detail, "id": "1",
        "account": cloud.account, "region": cloud.region,
    }  # fmt: skip


def report(cloud: Cloud, stage: str, times: Document, **changes: Any) -> Document:
    """Make an agent's report with a ticket; None leaves a member out."""
    detail = {
        "version": 1,
        "prefix": "/scale-agent",
        "instance_id": INSTANCE,
        "zone": "eu-central-1b",
        "stage": stage,
        "times": times,
        "ticket": sign(content(cloud, times)),
    }
    given = {name: value for name, value in (detail | changes).items() if value is not None}
    return event(cloud, "scale-agent.runner", "Runner Report", given)
