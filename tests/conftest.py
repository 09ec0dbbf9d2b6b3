# SPDX-License-Identifier: MIT
"""Fixtures for every test that needs the local cloud: one moto for all, emptied for each test."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cloud.cloud import Cloud

LAST_LINES = 60


def pytest_configure() -> None:
    """Let Ctrl-C end what tests start, also where a shell has begun all of this with `&`."""
    gc.disable()  # until all is collected: nearly all that is loaded stays
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of objects that stay until the end."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """Spare it all that is left as well: pytest would have it look five times, for seconds."""
    gc.freeze()


@pytest.fixture(scope="session")
def local_cloud() -> Iterator[Cloud]:
    """The one cloud of the session, which starts when a fixture resets it for a test."""
    from cloud.cloud import Cloud  # slow: not every test needs it

    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
    """Show what the cloud wrote last below the report of a test that failed."""
    report = yield
    cloud = getattr(item, "funcargs", {}).get("local_cloud")
    if cloud is not None and report.failed and report.when == "call":
        lines = [f"{who}: {line}" for who, line in cloud.logs[-LAST_LINES:]]
        report.sections.append(("the local cloud", "\n".join(lines)))
    return report
