# SPDX-License-Identifier: MIT
"""Fixtures of the tests with AWS's own emulators: the local cloud stands for all else of AWS."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))

from emulator import TOOLS, LambdaEmulator, MockedMachines  # noqa: E402
from floor import Floor  # noqa: E402

from cloud.cloud import Cloud  # noqa: E402
from cloud.github.stand_in import GitHub  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all tests where `tools --try` had no Go or no modules."""
    if not (TOOLS / "pins").exists():
        for item in items:
            item.add_marker(pytest.mark.skip(reason="the emulators are not built"))


@pytest.fixture
def stage(local_cloud: Cloud) -> Cloud:
    """A cloud in which only the test moves anything."""
    local_cloud.reset(make_github=GitHub)
    for poller in local_cloud.pollers:
        poller.paused = True
    return local_cloud


@pytest.fixture
def emulate(stage: Cloud, tmp_path: Path) -> Iterator[Callable[..., LambdaEmulator]]:
    """Start a function under the runtime interface emulator."""
    made: list[LambdaEmulator] = []

    def start(handler: str, as_argument: bool = True) -> LambdaEmulator:
        made.append(LambdaEmulator(stage, handler, tmp_path, as_argument))
        return made[-1]

    yield start
    for emulator in made:
        emulator.stop()


@pytest.fixture
def floor(local_cloud: Cloud) -> Iterator[Floor]:
    """One machine whose metadata service is EC2's mock."""
    local_cloud.reset(make_github=GitHub, make_machines=MockedMachines)
    for poller in local_cloud.pollers:
        poller.paused = True
    with Floor(local_cloud) as floor:
        yield floor
    local_cloud.machines.end_mocks()
