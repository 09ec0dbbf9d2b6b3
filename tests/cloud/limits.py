# SPDX-License-Identifier: MIT
"""How long the tests wait for what has to happen: one limit for all of them.

A test never waits for a fixed time, and then looks. It waits for the event that it is about, or,
to show that something does not happen, for one that comes after it would have. So only a test that
fails waits as long as this, and the limit can be generous to a busy machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 300.0
PAUSE = 0.02


def until(condition: Callable[[], Any], seconds: float = PATIENCE, pause: float = PAUSE) -> Any:
    """Wait for something to be true and give it; the last value when the time is over."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(pause)
    return found
