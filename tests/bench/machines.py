# SPDX-License-Identifier: MIT
"""EC2 for a burst: a machine runs from its launch on, and has its job from its hand-over on."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from xml.sax.saxutils import escape

from . import answers


@dataclass
class Machine:
    """One instance, as EC2 describes it."""

    id: str
    index: int
    type: str
    token: str
    tags: dict[str, str]
    launched: str = field(
        default_factory=lambda: datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    )

    def value(self, name: str) -> str:
        """Give what a filter of that name looks at."""
        if name.startswith("tag:"):
            return self.tags.get(name.removeprefix("tag:"), "")
        known = {"instance-id": self.id, "client-token": self.token}
        return (known | {"instance-state-name": "running", "instance-type": self.type})[name]

    def xml(self) -> str:
        """Give the item of an answer."""
        tags = "".join(
            f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>"
            for key, value in self.tags.items()
        )
        return (
            f"<item><instanceId>{self.id}</instanceId><imageId>ami-0abc</imageId>"
            f"<amiLaunchIndex>{self.index}</amiLaunchIndex><clientToken>{self.token}</clientToken>"
            "<instanceState><code>16</code><name>running</name></instanceState>"
            f"<instanceType>{self.type}</instanceType><launchTime>{self.launched}</launchTime>"
            "<placement><availabilityZone>eu-central-1a</availabilityZone></placement>"
            f"<instanceLifecycle>spot</instanceLifecycle><tagSet>{tags}</tagSet></item>"
        )


class Machines:
    """All that were launched; `times` says when, and `jobs` which jobs they run."""

    def __init__(self) -> None:
        self.all: dict[str, Machine] = {}
        self.times: list[float] = []
        self.jobs: set[int] = set()
        self._lock = threading.Lock()
        self._launches: dict[str, list[Machine]] = {}

    def known(self, form: dict[str, str]) -> bool:
        """Whether a launch of this name was made before."""
        return form["ClientToken"] in self._launches

    def launch(self, form: dict[str, str]) -> bytes:
        """Answer RunInstances; a name that was used before brings back its machines."""
        token = form["ClientToken"]
        with self._lock:
            if token not in self._launches:
                self._launches[token] = [
                    self._begin(form, number) for number in range(int(form["MaxCount"]))
                ]
        items = "".join(machine.xml() for machine in self._launches[token])
        return (
            "<RunInstancesResponse><reservationId>r-1</reservationId>"
            f"<ownerId>{answers.ACCOUNT}</ownerId>"
            f"<instancesSet>{items}</instancesSet></RunInstancesResponse>"
        ).encode()

    def _begin(self, form: dict[str, str], index: int) -> Machine:
        token = form["ClientToken"]
        seed = hashlib.sha256(token.encode()).hexdigest()[:16]
        tags = {
            form[f"{key[:-4]}.Key"]: form[f"{key[:-4]}.Value"]
            for key in form
            if key.startswith("TagSpecification.1.Tag.") and key.endswith(".Key")
        }
        machine = Machine(f"i-{seed}{index:x}", index, form["InstanceType"], token, tags)
        self.all[machine.id] = machine
        self.times.append(time.monotonic())
        return machine

    def hand_over(self, instance: str, text: str) -> None:
        """Begin the job of a hand-over, and tag its machine as `in-progress` does."""
        job = json.loads(text)["job"]
        tags = {
            "scale-agent:job-url": job["url"], "scale-agent:job-attempt": str(job["attempt"])
        }  # fmt: skip
        with self._lock:
            self.jobs.add(int(job["id"]))
            self.all[instance].tags |= tags

    def describe(self, form: dict[str, str]) -> bytes:
        """Answer DescribeInstances."""
        filters = []
        while name := form.get(f"Filter.{len(filters) + 1}.Name"):
            begin = f"Filter.{len(filters) + 1}.Value."
            filters.append((name, [form[key] for key in form if key.startswith(begin)]))
        with self._lock:
            found = "".join(one.xml() for one in self.all.values() if matches(one, filters))
        reservation = f"<ownerId>{answers.ACCOUNT}</ownerId><instancesSet>{found}</instancesSet>"
        items = f"<item><reservationId>r-1</reservationId>{reservation}</item>" if found else ""
        return (
            f"<DescribeInstancesResponse><reservationSet>{items}</reservationSet>"
            "</DescribeInstancesResponse>"
        ).encode()


def matches(machine: Machine, filters: list[tuple[str, list[str]]]) -> bool:
    """Whether a machine has one of the values of each filter."""
    return all(
        any(fnmatch.fnmatchcase(machine.value(name), pattern) for pattern in patterns)
        for name, patterns in filters
    )
