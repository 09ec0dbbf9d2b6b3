# SPDX-License-Identifier: MIT
"""Queues in memory, as SQS keeps them."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field

from . import answers

VISIBILITY = 360.0


@dataclass
class Message:
    """A message of a queue."""

    body: str
    group: str
    due: float
    sent_ms: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receives: int = 0
    in_flight: bool = False

    def record(self, queue: str) -> dict[str, object]:
        """Give the form in which Lambda passes it on."""
        return {
            "messageId": self.id,
            "receiptHandle": self.id,
            "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": str(self.receives),
                "SentTimestamp": str(self.sent_ms),
                "MessageGroupId": self.group,
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{answers.REGION}:{answers.ACCOUNT}:scale-agent-{queue}",
            "awsRegion": answers.REGION,
        }


class Queue:
    """A queue whose delays are divided by HURRY.

    A FIFO queue gives out a message group only when the messages it gave out before are settled.
    """

    def __init__(self, name: str, hurry: float):
        self.name = name
        self._hurry = hurry
        self._messages: list[Message] = []
        self._seen: set[str] = set()
        self._changed = threading.Condition()

    def send(self, entry: dict[str, object]) -> None:
        """Add a message, unless its deduplication id was there before."""
        identity = str(entry.get("MessageDeduplicationId", ""))
        with self._changed:
            if identity and identity in self._seen:
                return
            self._seen.add(identity)
            delay = float(entry.get("DelaySeconds", 0))  # type: ignore[arg-type]
            due = time.monotonic() + delay / self._hurry
            body, group = str(entry["MessageBody"]), str(entry.get("MessageGroupId", ""))
            self._messages.append(Message(body, group, due, int(time.time() * 1000)))
            self._changed.notify()

    def receive(self, seconds: float, most: int) -> list[Message]:
        """Take so many messages at most, or none after so long."""
        with self._changed:
            end = time.monotonic() + seconds
            while not (found := self._free(most)) and time.monotonic() < end:
                self._changed.wait(0.05)
            for message in found:
                message.in_flight, message.receives = True, message.receives + 1
                message.due = time.monotonic() + VISIBILITY
            return found

    def _free(self, most: int) -> list[Message]:
        now = time.monotonic()
        locked = {one.group for one in self._messages if one.in_flight and one.due > now}
        found: list[Message] = []
        for message in self._messages:
            if message.due > now or (message.group and message.group in locked):
                locked.add(message.group)  # those behind it wait as well
            else:
                found.append(message)
        return found[:most]

    def settle(self, taken: list[Message], failed: set[str]) -> None:
        """Delete what was worked on."""
        with self._changed:
            done = {one.id for one in taken} - failed
            self._messages = [one for one in self._messages if one.id not in done]
            self._changed.notify_all()

    def change(self, receipt: str, seconds: float | None) -> None:
        """Delete a message, or hide it for so long."""
        with self._changed:
            for message in [one for one in self._messages if one.id == receipt]:
                if seconds is None:
                    self._messages.remove(message)
                else:
                    message.due = time.monotonic() + seconds
                    message.in_flight = seconds > 0

    def counts(self) -> dict[str, str]:
        """Answer GetQueueAttributes."""
        now = time.monotonic()
        with self._changed:
            flying = sum(one.in_flight and one.due > now for one in self._messages)
            delayed = sum(not one.in_flight and one.due > now for one in self._messages)
            visible = len(self._messages) - flying - delayed
        name = "ApproximateNumberOfMessages"
        return {
            name: str(visible), f"{name}NotVisible": str(flying), f"{name}Delayed": str(delayed)
        }  # fmt: skip
