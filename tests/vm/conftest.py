# SPDX-License-Identifier: MIT
"""Fixtures of the tests on virtual machines: RunInstances in the local cloud boots the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cloud.cloud import Cloud
from cloud.github.stand_in import GitHub

from .machine import VirtualMachine
from .machines import IMAGE, VirtualMachines

LAST_LINES = 80


@pytest.fixture
def cloud(local_cloud: Cloud) -> Iterator[Cloud]:
    """An empty cloud whose machines are virtual."""
    assert IMAGE.exists(), f"{IMAGE} is missing; tests/vm/image makes it"
    local_cloud.reset(make_github=GitHub, make_machines=VirtualMachines)
    yield local_cloud
    local_cloud.machines.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Add the life of each machine and the end of its console to the report of a failed test."""
    report = yield
    cloud = getattr(item, "funcargs", {}).get("local_cloud")
    if report.failed and cloud is not None and cloud.machines is not None:
        for machine in cloud.machines.all.values():
            assert isinstance(machine, VirtualMachine)
            stages = "\n".join(f"{m.at:.1f} {m.stage} {m.detail}" for m in machine.moments)
            report.sections.append((f"life of {machine.id}", stages))
            lines = machine.console.splitlines()[-LAST_LINES:]
            report.sections.append((f"console of {machine.id}", "\n".join(lines)))
    return report
