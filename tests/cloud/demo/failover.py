# SPDX-License-Identifier: MIT
"""Finds launches that were refused for lack of capacity, and the next attempt after each.

The record of calls does not say which batch a RunInstances belongs to. The order in which pools
(type, market and zone) first appear in it is the ladder; the next try of a refused call is the
first later one for as many instances, further up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..aws.wire import Call

CAPACITY = ("Insufficient", "UnfulfillableCapacity", "SpotMaxPriceTooLow", "Unsupported")


@dataclass
class Refusal:
    """A launch that was refused; `next_pool` is empty where nothing followed."""

    at: float
    pool: str
    count: object
    next_pool: str = ""

    def __str__(self) -> str:
        """Tell it to people."""
        following = f"; next: {self.next_pool}" if self.next_pool else ""
        return f"no capacity for {self.pool}{following}"


class Failover:
    """Is shown every RunInstances in turn."""

    def __init__(self, zones: dict[str, str]) -> None:
        self._zones = zones
        self._ladder: list[str] = []
        self._open: list[Refusal] = []

    def see(self, call: Call) -> Refusal | None:
        """Take a call; gives the refusal that it answers, if any."""
        pool, count = self._pool(call), call.parameters.get("MaxCount")
        if pool not in self._ladder:
            self._ladder.append(pool)
        rung = self._ladder.index(pool)
        before = [one for one in self._open if one.at < call.time and one.count == count]
        before = [one for one in before if self._ladder.index(one.pool) < rung]
        answered = max(before, key=lambda one: self._ladder.index(one.pool), default=None)
        if answered is not None:
            answered.next_pool = pool
            self._open.remove(answered)
        if call.error.startswith(CAPACITY):
            self._open.append(Refusal(call.time, pool, count))
        return answered

    def unanswered(self, before: float) -> list[Refusal]:
        """Give up on refusals that are older than this: nothing followed."""
        old = [one for one in self._open if one.at < before]
        self._open = [one for one in self._open if one.at >= before]
        return old

    def _pool(self, call: Call) -> str:
        market = "" if call.parameters.get("Market") == "spot" else " on demand"
        subnet = str(call.parameters.get("SubnetId", ""))
        zone = self._zones.get(subnet, subnet).rpartition("-")[2]
        where = f"zone {zone}" if zone else "any zone"
        return f"{call.parameters.get('InstanceType', '?')}{market} in {where}"
