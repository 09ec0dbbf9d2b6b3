# SPDX-License-Identifier: MIT
"""The read-only half of the cloud: output, metrics, work in flight, and leftovers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .aws.events import Poller
from .aws.lambda_host import Host
from .aws.stack import Moto, Stack
from .aws.template import Queue
from .limits import PATIENCE, until

if TYPE_CHECKING:
    from .github.stand_in import GitHub
    from .machines.fleet import Machines

ENDING = ("terminated", "shutting-down")


class Log:
    """Lines of output and their writers; also kept in one file for each writer."""

    def __init__(self, directory: Path):
        self.lines: list[tuple[str, str]] = []
        self.directory = directory
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, who: str, line: str) -> None:
        """Keep a line."""
        with self._lock:
            self.lines.append((who, line))
            with (self.directory / f"{who}.log").open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def metrics(self, who: str = "") -> list[dict[str, Any]]:
        """Find the metrics among the lines: JSON with CloudWatch's "_aws"."""
        found = []
        for name, line in list(self.lines):
            if (not who or name == who) and '"_aws"' in line:
                try:
                    document = json.loads(line)
                except ValueError:
                    continue
                if isinstance(document, dict) and "_aws" in document:
                    found.append(document)
        return found


class View:
    """The half of Cloud that only looks."""

    moto: Moto | None
    stack: Stack
    log_lines: Log
    queues: dict[str, Queue]
    pollers: list[Poller]
    hosts: dict[str, Host]
    github: GitHub | None
    machines: Machines | None

    def client(self, service: str) -> Any:
        """Give a client of the account's owner."""
        raise NotImplementedError

    def pending(self) -> int:
        """Count what happens in the background."""
        raise NotImplementedError

    @property
    def logs(self) -> list[tuple[str, str]]:
        """Everything that was written so far, as (handler, line)."""
        return list(self.log_lines.lines)

    def log(self, who: str, line: str) -> None:
        """Keep a line of someone's output."""
        self.log_lines.add(who, line)

    def metrics(self, handler: str = "") -> list[dict[str, Any]]:
        """Give the metrics that a function, or all of them, wrote."""
        return self.log_lines.metrics(handler)

    def instances(self) -> list[dict[str, Any]]:
        """List the instances that are not terminated."""
        pages = self.client("ec2").describe_instances()["Reservations"]
        every = [one for page in pages for one in page["Instances"]]
        return [one for one in every if one["State"]["Name"] not in ENDING]

    def parameters(self) -> list[str]:
        """Name the SSM parameters below PREFIX/runners/."""
        path = f"{self.stack.prefix}/runners/"
        found = self.client("ssm").get_parameters_by_path(Path=path, Recursive=True)
        return [one["Name"] for one in found["Parameters"]]

    def bucket(self) -> str:
        """Name the bucket of hand-overs; "" where the stack has none."""
        return str(self.stack.template.physical.get("HandOverBucket", ""))

    def objects(self) -> list[str]:
        """List the keys in the bucket of hand-overs."""
        if not self.bucket():
            return []
        found = self.client("s3").list_objects_v2(Bucket=self.bucket())
        return [one["Key"] for one in found.get("Contents", [])]

    def messages(self) -> dict[str, int]:
        """Count the messages of each queue that has any: visible, in flight and delayed.

        A watch outlives its job by minutes, so it counts only once it is due.
        """
        assert self.moto is not None
        counts = self.moto.counts()
        found = {}
        for queue in self.queues.values():
            visible, in_flight, delayed = counts[queue.name]
            due = visible + in_flight + (0 if queue.logical_id == "WatchQueue" else delayed)
            if due:
                found[queue.logical_id] = due
        return found

    def left(self) -> list[str]:
        """List leftovers: instances, parameters, messages, runners; [] when clean."""
        return [
            *(f"instance {one['InstanceId']}" for one in self.instances()),
            *(f"parameter {name}" for name in self.parameters()),
            *(f"object {key}" for key in self.objects()),
            *(f"{count} messages in {name}" for name, count in self.messages().items()),
            *(self.github.left() if self.github is not None else []),
        ]

    def busy(self) -> list[str]:
        """List work in flight: deliveries, invocations, machines, messages for functions, …"""
        return list(self._work())

    def _work(self) -> Iterator[str]:
        """Name work in flight: first what is known here, then what moto has to be asked for."""
        if self.github is not None:
            yield from self.github.busy()
        yield from (f"function {name}" for name, host in self.hosts.items() if host.busy)
        yield from (f"poller {one.queue.logical_id}" for one in self.pollers if one.busy)
        yield from self.machines.busy() if self.machines is not None else []
        if self.pending():
            yield "events"
        yield from (f"instance {one['InstanceId']}" for one in self.instances())
        polled = {one.queue.logical_id for one in self.pollers if not one.paused}
        yield from (f"queue {name}" for name in self.messages() if name in polled)

    def idle(self, timeout: float = PATIENCE) -> bool:
        """Wait until nothing is in flight; False when the time is over."""
        # twice, for what moved while we looked
        return until(lambda: not any(self._work()) and not any(self._work()), timeout)
