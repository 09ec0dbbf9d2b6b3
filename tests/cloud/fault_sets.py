# SPDX-License-Identifier: MIT
"""The named sets of faults that `make demo FAULTS=...` offers.

Each is what a bad day looks like, and every job has to be served nevertheless. Actions are AWS's
operation names, GitHub's operation ids, and "machine"/"spot" for what happens to a machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from .faults import Capacity, Cut, Error, Event, Faults, Latency, NamedSet, Throttle

CONFLICT = Error("Conflict", 409, "Already exists - A runner with the name already exists.")
UNAVAILABLE = Error("ServiceUnavailable", 503, "The service is not available. Try again.")


def _capacity(faults: Faults) -> None:
    """Spot machines of the usual types are gone; a larger one is there."""
    for kind in ("m7i.large", "m7a.large"):
        match = {"InstanceType": kind, "Market": "spot"}
        faults.add("ec2", "RunInstances", match=match, fault=Capacity())


def _throttle(faults: Faults) -> None:
    """Every service has had enough calls for a moment."""
    faults.add("ec2", "RunInstances", times=2, fault=Throttle())
    faults.add("ssm", "PutParameter", times=4, fault=Throttle())
    faults.add("ssm", "DeleteParameter*", times=2, fault=Throttle())
    faults.add("events", "PutEvents", times=2, fault=Throttle())


def _errors(faults: Faults) -> None:
    """Answers of 5xx, from everyone, now and then."""
    faults.add("ec2", "RunInstances", times=1, fault=Error("InternalError", 500))
    faults.add("ssm", "*Parameter", times=3, skip=2, fault=Error("InternalServerError", 500))
    faults.add("sqs", "SendMessage", times=1, fault=UNAVAILABLE)
    faults.add("events", "PutEvents", times=1, fault=Error("InternalException", 500))
    faults.add("github", "actions/generate-runner-jitconfig-*", times=2, fault=UNAVAILABLE)


def _cut(faults: Faults) -> None:
    """Connections end without an answer, before and after the call took effect."""
    faults.add("ec2", "RunInstances", times=1, fault=Cut(before=False))
    faults.add("ssm", "PutParameter", times=1, fault=Cut(before=False))
    faults.add("ssm", "GetParameter", times=2, skip=3, fault=Cut(before=True))
    faults.add("sqs", "SendMessage", times=1, fault=Cut(before=False))


def _conflict(faults: Faults) -> None:
    """GitHub says that a runner of this name is there already."""
    faults.add("github", "actions/generate-runner-jitconfig-*", times=2, fault=CONFLICT)


def _spot(faults: Faults) -> None:
    """EC2 takes one spot machine back, with notice."""
    faults.add("machine", "spot", times=1, fault=Event(seconds=1.0))


def _slow(faults: Faults) -> None:
    """Every call is slow."""
    faults.add("ec2", "RunInstances", fault=Latency(1.4))
    for service in ("ssm", "sqs", "events", "github"):
        faults.add(service, fault=Latency(0.15))


SETS: Mapping[str, NamedSet] = {
    "capacity": _capacity,
    "throttle": _throttle,
    "duplicate": lambda faults: None,  # Faults.duplicate, read by the sender of webhooks
    "errors": _errors,
    "cut": _cut,
    "conflict": _conflict,
    "spot": _spot,
    "slow": _slow,
}
