# SPDX-License-Identifier: MIT
"""Faults by rule: what goes wrong, where, and how often.

A test adds rules; the stand-ins ask `take` before they do what a call asks for, and act on what
they are given:

    faults.add("ec2", "RunInstances", match={"InstanceType": "m7i.*"}, fault=Capacity())
    faults.add("ssm", "PutParameter", times=2, fault=Throttle())
    faults.add("github", "actions/*", fault=Latency(0.1))

Nothing here knows AWS or GitHub: a service, an action and parameters are names to be matched, with
shell patterns. Each stand-in puts an error into its own service's form.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Latency:
    """The call takes this much longer; combines with another fault."""

    seconds: float


@dataclass(frozen=True)
class Error:
    """The call is answered with this error, and has no effect."""

    code: str
    status: int = 500
    message: str = "injected by the local cloud"


@dataclass(frozen=True)
class Capacity(Error):
    """There is no machine of this kind left; note the status, which looks like a crash."""

    code: str = "InsufficientInstanceCapacity"
    status: int = 500
    message: str = "There is no Spot capacity available that matches your request."


@dataclass(frozen=True)
class Throttle:
    """Too many calls, said in the way of the service."""


@dataclass(frozen=True)
class Cut:
    """The connection ends without an answer, before or after the call took effect."""

    before: bool = True


@dataclass(frozen=True)
class Kill:
    """The caller's process is ended by `kill`, before or after the call took effect."""

    kill: Callable[[], None]
    before: bool = True


@dataclass(frozen=True)
class Timeout:
    """The call is accepted and never answered, as long as the cloud runs."""


@dataclass(frozen=True)
class Body:
    """The call takes effect, and its answer is replaced by these bytes."""

    content: bytes
    status: int = 200


@dataclass(frozen=True)
class Partial:
    """At most this many of the things that were asked for are made."""

    count: int = 1


@dataclass(frozen=True)
class Event:
    """Something that happens by itself, such as a machine's spot notice, after some seconds."""

    seconds: float = 0.0


Fault = Latency | Error | Throttle | Cut | Kill | Timeout | Body | Partial | Event


@dataclass
class Rule:
    """A fault, where it applies, and how often it still does; `hits` counts."""

    service: str
    action: str
    match: dict[str, str]
    fault: Fault
    times: int | None = None
    skip: int = 0
    hits: int = 0

    def matches(self, service: str, action: str, parameters: Mapping[str, Any]) -> bool:
        """Tell whether a call is one of those that this rule is about."""
        return (
            fnmatch.fnmatchcase(service, self.service)
            and fnmatch.fnmatchcase(action, self.action)
            and all(
                fnmatch.fnmatchcase(str(parameters.get(name, "")), pattern)
                for name, pattern in self.match.items()
            )
        )


# A named set adds its rules to a Faults; it may add none, and be a property that others ask for.
NamedSet = Callable[["Faults"], object]


@dataclass
class Faults:
    """The rules of one cloud. `stopped` ends every time-out and latency at once."""

    sets: Mapping[str, NamedSet] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        service: str = "*",
        action: str = "*",
        match: Mapping[str, object] | None = None,
        times: int | None = None,
        fault: Fault | None = None,
        skip: int = 0,
    ) -> Rule:
        """Add a rule for the next `times` calls (None: all of them) after the first `skip`."""
        if fault is None:
            raise ValueError("a rule needs a fault")
        patterns = {name: str(value) for name, value in (match or {}).items()}
        rule = Rule(service, action, patterns, fault, times, skip)
        with self._lock:
            self.rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take a rule away again."""
        with self._lock:
            self.rules = [one for one in self.rules if one is not rule]

    def clear(self) -> None:
        """Take every rule and every named set away."""
        with self._lock:
            self.rules.clear()
            self.names.clear()

    def take(
        self, service: str, action: str, parameters: Mapping[str, Any] | None = None
    ) -> list[Fault]:
        """Give the faults of one call: every latency, and the first other one; uses them up."""
        taken: list[Fault] = []
        with self._lock:
            for rule in self.rules:
                if rule.times == 0 or not rule.matches(service, action, parameters or {}):
                    continue
                if not isinstance(rule.fault, Latency) and any(
                    not isinstance(one, Latency) for one in taken
                ):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                rule.hits += 1
                if rule.times is not None:
                    rule.times -= 1
                taken.append(rule.fault)
        return taken

    def named(self, names: str | Iterable[str]) -> None:
        """Switch named sets on: "capacity,throttle" or a list of names."""
        wanted = names.split(",") if isinstance(names, str) else list(names)
        wanted = [name.strip() for name in wanted if name.strip()]
        for name in wanted:
            if name not in self.sets:
                allowed = ", ".join(sorted(self.sets))
                raise ValueError(f"there are no faults named {name!r}; allowed are: {allowed}")
        for name in wanted:
            if name not in self.names:
                self.names.add(name)
                self.sets[name](self)

    @property
    def duplicate(self) -> bool:
        """Tell the sender of webhooks to deliver everything twice."""
        return "duplicate" in self.names

    def wait(self, seconds: float | None) -> bool:
        """Sleep, unless the cloud stops before; True when it stopped."""
        return self.stopped.wait(seconds)
