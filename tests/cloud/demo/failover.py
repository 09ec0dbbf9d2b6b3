# SPDX-License-Identifier: MIT
"""Finds launches that were refused for lack of capacity, and the next attempt after each.

The record of calls does not say which batch a RunInstances belongs to. The order in which offers
(type, market and zone) first appear in it is their order; the next try of a refused call is the
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
    """A launch that was refused; `next_offer` is empty where nothing followed."""

    at: float
    offer: str
    count: object
    next_offer: str = ""

    def __str__(self) -> str:
        """Tell it to people."""
        following = f"; next: {self.next_offer}" if self.next_offer else ""
        return f"no capacity for {self.offer}{following}"


class Failover:
    """Is shown every RunInstances in turn."""

    def __init__(self, zones: dict[str, str]) -> None:
        self._zones = zones
        self._order: list[str] = []
        self._open: list[Refusal] = []

    def see(self, call: Call) -> Refusal | None:
        """Take a call; gives the refusal that it answers, if any."""
        offer, count = self._offer(call), call.parameters.get("MaxCount")
        if offer not in self._order:
            self._order.append(offer)
        rung = self._order.index(offer)
        before = [one for one in self._open if one.at < call.time and one.count == count]
        before = [one for one in before if self._order.index(one.offer) < rung]
        answered = max(before, key=lambda one: self._order.index(one.offer), default=None)
        if answered is not None:
            answered.next_offer = offer
            self._open.remove(answered)
        if call.error.startswith(CAPACITY):
            self._open.append(Refusal(call.time, offer, count))
        return answered

    def unanswered(self, before: float) -> list[Refusal]:
        """Give up on refusals that are older than this: nothing followed."""
        old = [one for one in self._open if one.at < before]
        self._open = [one for one in self._open if one.at >= before]
        return old

    def _offer(self, call: Call) -> str:
        market = "" if call.parameters.get("Market") == "spot" else " on demand"
        subnet = str(call.parameters.get("SubnetId", ""))
        zone = self._zones.get(subnet, subnet).rpartition("-")[2]
        where = f"zone {zone}" if zone else "any zone"
        return f"{call.parameters.get('InstanceType', '?')}{market} in {where}"
