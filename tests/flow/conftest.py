# SPDX-License-Identifier: MIT
"""Fixtures of the flow tests: the real programs, in a cloud with GitHub and machines.

    def test_something(cloud):
        job = cloud.github.queue_job("octo-org/one", ["self-hosted", "linux", "x64"])

`cloud` is empty for each test. A test that needs another configuration, other secrets or another
environment takes `make_cloud` and calls it with the options of `cloud.cloud.Options`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cloud.cloud import Cloud
from cloud.github import GitHub
from cloud.machines import Machines

MakeCloud = Callable[..., Cloud]


@pytest.fixture
def make_cloud(local_cloud: Cloud) -> MakeCloud:
    """Empty the cloud and give it these options."""

    def make(**options: Any) -> Cloud:
        return local_cloud.reset(make_github=GitHub, make_machines=Machines, **options)

    return make


@pytest.fixture
def cloud(make_cloud: MakeCloud) -> Cloud:
    """An empty cloud with the default configuration."""
    return make_cloud()
