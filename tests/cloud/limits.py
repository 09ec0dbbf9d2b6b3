# SPDX-License-Identifier: MIT
"""How long tests wait for an event: one limit for all of them.

No test sleeps for a fixed time and then looks. It waits for the event that it is about; to show
that something does not happen, it waits for an event that would come later. Only a failing test
uses up the limit, so the limit is generous enough for a busy machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 300.0
PAUSE = 0.02
LONGEST_PAUSE = 0.2


def until(condition: Callable[[], Any], seconds: float = PATIENCE, pause: float = PAUSE) -> Any:
    """Wait for something to be true and give it; the last value when the time is over.

    What takes long is looked at less often.
    """
    began = time.monotonic()
    while not (found := condition()) and (waited := time.monotonic() - began) < seconds:
        time.sleep(max(pause, min(waited / 10, LONGEST_PAUSE)))
    return found
