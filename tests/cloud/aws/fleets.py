# SPDX-License-Identifier: MIT
"""CreateFleet of type instant, as EC2 does it and moto does not.

A ClientToken makes a call idempotent; a fleet has one subnet of each zone; pools are tried one
after the other, in the order of their priorities, and each that fails has an error beside the
instances of the others. Each pool is one RunInstances for moto, so that instances are counted anew
in each. A test says what goes wrong in a pool:

    faults.add("ec2", "FleetPool", match={"InstanceType": "m7i.*"}, fault=Capacity())

`pools_tried` bounds how many pools a fleet tries: none is documented, three were measured.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from ..faults import Error, Faults, Partial
from ..serve import Answer
from . import services, wire
from .wire import Call

OVERRIDE = re.compile(r"LaunchTemplateConfigs\.1\.Overrides\.([0-9]+)\.(\w+)")
TEMPLATE = "LaunchTemplateConfigs.1.LaunchTemplateSpecification."
CAPACITY = "TargetCapacitySpecification."
# What takes effect in this cloud; anything else is a mistake of the caller.
KNOWN = re.compile(
    r"Action|Version|Type|ClientToken|LaunchTemplateConfigs\.1\..*|TagSpecification\..*"
    r"|TargetCapacitySpecification\.(TotalTargetCapacity|DefaultTargetCapacityType)"
    r"|SpotOptions\.(AllocationStrategy|InstanceInterruptionBehavior)"
    r"|OnDemandOptions\.AllocationStrategy"
)
STRATEGIES = {
    "spot": {"price-capacity-optimized", "capacity-optimized-prioritized"},
    "on-demand": {"lowest-price", "prioritized"},
}
PREFIX = {"spot": "SpotOptions.", "on-demand": "OnDemandOptions."}


def pools(parameters: dict[str, Any]) -> list[dict[str, str]]:
    """List the overrides of a call in their order."""
    found: dict[int, dict[str, str]] = {}
    for name, value in parameters.items():
        override = OVERRIDE.fullmatch(name)
        if override:
            found.setdefault(int(override[1]), {})[override[2]] = str(value)
    return [found[number] for number in sorted(found)]


def launch_of(parameters: dict[str, Any], pool: dict[str, str], count: int) -> dict[str, Any]:
    """Make the RunInstances by which a fleet launches in one of its pools."""
    made = {
        "Action": "RunInstances",
        "Version": parameters.get("Version", ""),
        "MinCount": str(count),
        "MaxCount": str(count),
        "InstanceType": pool["InstanceType"],
        "SubnetId": pool["SubnetId"],
    }
    for name, value in parameters.items():
        if name.startswith(TEMPLATE):
            made["LaunchTemplate." + name.removeprefix(TEMPLATE)] = value
    kinds = 0
    for name, kind in parameters.items():
        if re.fullmatch(r"TagSpecification\.[0-9]+\.ResourceType", str(name)) and kind != "fleet":
            kinds += 1
            start = name.removesuffix("ResourceType")
            for one, value in parameters.items():
                if one.startswith(start):
                    made[f"TagSpecification.{kinds}." + one.removeprefix(start)] = value
    market = str(parameters.get(CAPACITY + "DefaultTargetCapacityType", "on-demand"))
    made["Market"] = market
    if market == "spot":
        made["InstanceMarketOptions.MarketType"] = "spot"
    return made


@dataclass
class Fleets:
    """CreateFleet, with what the account has: `zone_of` a subnet, and a template's metadata."""

    faults: Faults
    zone_of: Callable[[str], str]
    metadata_of: Callable[[str], dict[str, str]] = lambda _: {}
    pools_tried: int | None = None
    _known: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(
        self, call: Call, forward: services.Forward, launched: Callable[[Call, Answer], None]
    ) -> Answer | None:
        """Answer CreateFleet; `launched` hears of each pool's instances as of RunInstances."""
        refused = self._check(call)
        if refused is not None:
            return refused
        token = str(call.parameters.get("ClientToken", ""))
        with self._lock:
            fingerprint = services.fingerprint(call)
            known = self._known.get(token)
            if known is not None:
                if known[0] != fingerprint:
                    message = "The client token was used before, with other parameters."
                    return wire.refuse(call, "IdempotentParameterMismatch", 400, message)
                return known[1]
            answer = self._launch(call, forward, launched)
            if token and answer is not None and answer.status == 200:
                self._known[token] = (fingerprint, answer)
        return answer

    def _check(self, call: Call) -> Answer | None:
        given = call.parameters
        if len(str(given.get("ClientToken", ""))) > services.TOKEN_LIMIT:
            return wire.refuse(call, "InvalidParameterValue", 400, "The client token is too long.")
        unknown = [name for name in given if not KNOWN.fullmatch(name)]
        market = str(given.get(CAPACITY + "DefaultTargetCapacityType"))
        strategy = given.get(PREFIX.get(market, "") + "AllocationStrategy")
        count = str(given.get(CAPACITY + "TotalTargetCapacity", ""))
        if given.get("Type") != "instant" or unknown or not count.isdigit() or count == "0":
            message = f"The local cloud does not know this fleet: {unknown}"
            return wire.refuse(call, "InvalidParameterValue", 400, message)
        if strategy not in STRATEGIES.get(market, set()):
            message = f"'{strategy}' is no strategy of {market}."
            return wire.refuse(call, "InvalidParameterValue", 400, message)
        wanted = pools(given)
        for pool in wanted:
            if pool["InstanceType"] not in services.instance_types():
                message = f"Invalid value '{pool['InstanceType']}' for InstanceType."
                return wire.refuse(call, "InvalidParameterValue", 400, message)
        return self._check_zones(call, wanted)

    def _check_zones(self, call: Call, wanted: list[dict[str, str]]) -> Answer | None:
        if not wanted:
            return wire.refuse(call, "MissingParameter", 400, "There is no override.")
        subnets = {pool["SubnetId"] for pool in wanted}
        zones = [self.zone_of(subnet) for subnet in sorted(subnets)]
        if "" in zones:
            return wire.refuse(call, "InvalidSubnetID.NotFound", 400, "There is no such subnet.")
        if len(set(zones)) < len(zones):
            message = "The fleet configuration contains several subnets of one zone."
            return wire.refuse(call, "InvalidFleetConfig", 400, message)
        return None

    def _launch(
        self, call: Call, forward: services.Forward, launched: Callable[[Call, Answer], None]
    ) -> Answer | None:
        wanted = pools(call.parameters)
        wanted.sort(key=lambda pool: float(pool.get("Priority", "0")))  # equal ones stay in order
        missing = int(call.parameters[CAPACITY + "TotalTargetCapacity"])
        market = str(call.parameters[CAPACITY + "DefaultTargetCapacityType"])
        groups: list[str] = []
        errors: list[str] = []
        for pool in wanted[: self.pools_tried]:
            if missing == 0:
                break
            error, count = self._fault(pool, market, missing)
            if error is not None:
                errors.append(_error(pool, market, error))
                continue
            parameters = launch_of(call.parameters, pool, count)
            answer = forward(parameters)
            if answer is None or answer.status != 200:
                return answer
            template = parameters.get(
                "LaunchTemplate.LaunchTemplateName",
                parameters.get("LaunchTemplate.LaunchTemplateId", ""),
            )
            told = Call("ec2", "RunInstances", parameters | self.metadata_of(str(template)), "")
            launched(told, answer)
            groups.append(_group(pool, market, services.instance_ids(answer)))
            missing -= count
        text = (
            f'<CreateFleetResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>'
            f"{uuid.uuid4()}</requestId><fleetId>fleet-{uuid.uuid4()}</fleetId><errorSet>"
            f"{''.join(errors)}</errorSet><fleetInstanceSet>{''.join(groups)}</fleetInstanceSet>"
            f"</CreateFleetResponse>"
        )
        return Answer(200, text.encode(), {"Content-Type": "text/xml;charset=UTF-8"})

    def _fault(self, pool: dict[str, str], market: str, wanted: int) -> tuple[Error | None, int]:
        for fault in self.faults.take("ec2", "FleetPool", pool | {"Market": market}):
            if isinstance(fault, Error):
                return fault, 0
            if isinstance(fault, Partial):
                wanted = min(wanted, fault.count)
        return None, wanted


def _where(pool: dict[str, str], market: str) -> str:
    return (
        f"<launchTemplateAndOverrides><overrides><instanceType>{escape(pool['InstanceType'])}"
        f"</instanceType><subnetId>{escape(pool['SubnetId'])}</subnetId></overrides>"
        f"</launchTemplateAndOverrides><lifecycle>{market}</lifecycle>"
    )


def _group(pool: dict[str, str], market: str, ids: list[str]) -> str:
    items = "".join(f"<item>{one}</item>" for one in ids)
    return (
        f"<item>{_where(pool, market)}<instanceIds>{items}</instanceIds><instanceType>"
        f"{escape(pool['InstanceType'])}</instanceType></item>"
    )


def _error(pool: dict[str, str], market: str, error: Error) -> str:
    return (
        f"<item>{_where(pool, market)}<errorCode>{escape(error.code)}</errorCode><errorMessage>"
        f"{escape(error.message)}</errorMessage></item>"
    )


def needs(parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """List a RunInstances for each subnet: EC2 judges what a fleet launches as that, too."""
    seen: set[str] = set()
    for pool in pools(parameters):
        if pool["SubnetId"] not in seen:
            seen.add(pool["SubnetId"])
            yield launch_of(parameters, pool, 1)
