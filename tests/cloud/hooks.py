# SPDX-License-Identifier: MIT
"""The consequences of a call that succeeded: machines boot, pollers wake, events are delivered.

The proxy calls a hook after moto's answer. Slow work runs in the background, as in AWS; it is
counted, so that a test can wait for its end.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .aws.proxy import Hook
from .aws.services import instance_ids
from .aws.wire import Call
from .serve import Answer

if TYPE_CHECKING:
    from .cloud import Cloud

REASON_TAG = "local-cloud:reason"  # as moto_server.py has it, which runs by itself
ENDED = "EC2 Instance State-change Notification"


class Hooks:
    """The hooks of one cloud."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.pending = 0
        self.ended: set[str] = set()
        self._lock = threading.Lock()
        self._background = ThreadPoolExecutor(4, "cloud")

    def table(self) -> dict[tuple[str, str], Hook]:
        """Name the hook of each call."""
        return {
            ("sqs", "SendMessage"): self._queued,
            ("sqs", "SendMessageBatch"): self._queued,
            ("events", "PutEvents"): self._later(self._events_put),
            ("ec2", "RunInstances"): self._later(self._launched),
            ("ec2", "TerminateInstances"): self._later(self._terminated),
        }

    def stop(self) -> None:
        """Wait for the work under way."""
        self._background.shutdown(wait=True, cancel_futures=True)

    def sent(self, queue_arn: str, delay: float = 0.0) -> None:
        """Let the pollers of a queue look at it, at once or when a message becomes visible."""
        for poller in self.cloud.pollers:
            if poller.queue.arn == queue_arn:
                poller.kick(delay)

    def instance_ended(self, instance_id: str, reason: str) -> None:
        """Terminate an instance in moto, for EC2's REASON, and tell the event bus, once."""
        with self._lock:
            if instance_id in self.ended:
                return
            self.ended.add(instance_id)
        self.cloud.log("ec2", f"{instance_id} ended: {reason}")
        ec2 = self.cloud.client("ec2")
        if reason.startswith(("Client.", "Server.")):
            ec2.create_tags(Resources=[instance_id], Tags=[{"Key": REASON_TAG, "Value": reason}])
        ec2.terminate_instances(InstanceIds=[instance_id])
        detail = {"instance-id": instance_id, "state": "terminated"}
        self.cloud.put_event("aws.ec2", ENDED, detail)

    def _later(self, work: Callable[[Call, Answer], None]) -> Hook:
        def run(call: Call, answer: Answer) -> None:
            try:
                work(call, answer)
            except Exception as problem:
                self.cloud.log("cloud", f"after {call.service} {call.action}: {problem!r}")
            finally:
                with self._lock:
                    self.pending -= 1

        def hook(call: Call, answer: Answer) -> None:
            with self._lock:
                self.pending += 1
            self._background.submit(run, call, answer)

        return hook

    def _queued(self, call: Call, _: Answer) -> None:
        cloud = self.cloud
        name = str(call.parameters.get("QueueUrl", "")).rsplit("/", 1)[-1]
        messages = call.parameters.get("Entries") or [call.parameters]
        for delay in {float(one.get("DelaySeconds") or 0) for one in messages}:
            self.sent(f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}", delay / cloud.hurry)

    def _events_put(self, call: Call, answer: Answer) -> None:
        results = json.loads(answer.body)["Entries"]
        for entry, result in zip(call.parameters["Entries"], results, strict=True):
            if result.get("EventId"):
                detail = json.loads(entry["Detail"])
                known = {"id": result["EventId"], "resources": entry.get("Resources")}
                self.cloud.bus.put(entry["Source"], entry["DetailType"], detail, **known)

    def _launched(self, call: Call, answer: Answer) -> None:
        if self.cloud.machines is not None:
            request = {name: str(value) for name, value in call.parameters.items()}
            self.cloud.machines.launched(instance_ids(answer), request)

    def _terminated(self, call: Call, _: Answer) -> None:
        for instance_id in call.names("InstanceId"):
            if self.cloud.machines is not None:
                self.cloud.machines.terminated(instance_id)
            self.instance_ended(instance_id, "TerminateInstances")
