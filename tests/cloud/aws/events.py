# SPDX-License-Identifier: MIT
"""Moves jobs from function to function: pollers of queues, and the event bus with its rules.

A poller stands for one event source mapping. It wakes when a message arrives, hands batches to the
function, deletes the messages that succeeded, and makes the others visible again after
`retry_delay` seconds instead of the queue's visibility time-out. moto moves dead letters.
"""

from __future__ import annotations

import heapq
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from .template import Mapping as SourceMapping
from .template import Queue, Rule

IDLE_POLL_SECONDS = 10.0  # whoever sends a message wakes the poller

Log = Callable[[str], None]
Document = dict[str, Any]


def record_of(message: Document, queue: Queue, region: str, source_arn: str) -> Document:
    """Write a received message as Lambda passes it to a function."""
    attributes = dict(message["Attributes"])
    if source_arn:
        attributes["DeadLetterQueueSourceArn"] = source_arn
    given = message.get("MessageAttributes", {})
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": attributes,
        "messageAttributes": {name: _attribute(value) for name, value in given.items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": region,
    }


def _attribute(value: Document) -> Document:
    found: Document = {"stringListValues": [], "binaryListValues": []}
    if "StringValue" in value:
        found["stringValue"] = value["StringValue"]
    return {**found, "dataType": value["DataType"]}


def failures_of(answer: bytes, identities: set[str], reports: bool) -> set[str]:
    """Tell which messages of a batch failed; an answer that makes no sense fails all of them."""
    if not reports:
        return set()
    try:
        document = json.loads(answer or b"null")
        if not document or not document.get("batchItemFailures"):
            return set()
        failed = {item["itemIdentifier"] for item in document["batchItemFailures"]}
    except (ValueError, AttributeError, KeyError, TypeError):
        return identities
    return failed if failed <= identities else identities


class Poller:
    """Takes messages from one queue to one function."""

    def __init__(
        self, mapping: SourceMapping, queue: Queue, sqs: Any, region: str,
        invoke: Callable[[bytes], bytes], origins: dict[str, str], log: Log,
        moved: Callable[[str, float], None],
    ):  # fmt: skip
        self.mapping, self.queue = mapping, queue
        self.retry_delay = 1
        self._paused = False
        self.failed = 0
        self.batches = 0
        self._sqs, self._region, self._invoke, self._log = sqs, region, invoke, log
        self._origins, self._moved = origins, moved
        self._wakes: list[float] = []
        self._running = 0
        self._receiving = False
        self._stopped = False
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(mapping.concurrency, f"poll-{queue.logical_id}")
        self._thread = threading.Thread(target=self._run, daemon=True, name=queue.logical_id)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling; running batches end by themselves."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def kick(self, after: float = 0.0) -> None:
        """Look into the queue, now or when something in it becomes visible."""
        with self._changed:
            heapq.heappush(self._wakes, time.monotonic() + after)
            self._changed.notify_all()

    @property
    def paused(self) -> bool:
        """Whether messages are left where they are."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        with self._changed:
            self._paused = paused
            self._changed.notify_all()

    @property
    def busy(self) -> bool:
        """Tell whether messages are being received or worked on, or are due."""
        with self._changed:
            due = bool(self._wakes) and self._wakes[0] <= time.monotonic()
            expecting = due and not self._paused
            return expecting or self._running > 0 or self._receiving

    def _run(self) -> None:
        while self._wait():
            messages = self._receive()
            with self._changed:
                self._receiving = False
                if messages:
                    self.batches += 1
                    self._running += 1
                    heapq.heappush(self._wakes, time.monotonic())  # there may be more
            if messages:
                self._pool.submit(self._work, messages)

    def _wait(self) -> bool:
        """Sleep until a message may be due and an invocation may begin; False when stopped."""
        idle_until = time.monotonic() + IDLE_POLL_SECONDS
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                wake = min(idle_until, self._wakes[0]) if self._wakes else idle_until
                if self._paused or self._running >= self.mapping.concurrency:
                    self._changed.wait(IDLE_POLL_SECONDS)
                elif wake > now:
                    self._changed.wait(wake - now)
                else:
                    while self._wakes and self._wakes[0] <= now:
                        heapq.heappop(self._wakes)
                    self._receiving = True
                    return True
        return False

    def _receive(self) -> list[Document]:
        try:
            return self._sqs.receive_message(
                QueueUrl=self.queue.url,
                MaxNumberOfMessages=min(10, self.mapping.batch_size),
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
        except Exception as problem:
            self._log(f"{self.queue.name}: cannot receive: {problem}")
            return []

    def _work(self, messages: list[Document]) -> None:
        handles = {message["MessageId"]: message["ReceiptHandle"] for message in messages}
        try:
            failed = self._invoked(messages, set(handles))
            done = [handle for name, handle in handles.items() if name not in failed]
            self._delete(done)
            for name in failed:
                self._sqs.change_message_visibility(
                    QueueUrl=self.queue.url,
                    ReceiptHandle=handles[name],
                    VisibilityTimeout=self.retry_delay,
                )
        except Exception as problem:  # the cloud stopped below us
            self._log(f"{self.queue.name}: {problem}")
            failed = set()
        with self._changed:
            self.failed += len(failed)
            self._running -= 1
            for message in messages:
                if message["MessageId"] in failed and self.queue.dead_letter_arn:
                    self._origins[message["MessageId"]] = self.queue.arn
        self.kick(self.retry_delay if failed else 0.0)
        if failed and self.queue.dead_letter_arn:  # when we look again, moto may have moved some
            self._moved(self.queue.dead_letter_arn, self.retry_delay + 0.05)

    def _invoked(self, messages: list[Document], identities: set[str]) -> set[str]:
        records = []
        for message in messages:
            origin = self._origins.get(message["MessageId"], "")
            origin = "" if origin == self.queue.arn else origin
            records.append(record_of(message, self.queue, self._region, origin))
        try:
            answer = self._invoke(json.dumps({"Records": records}).encode())
        except Exception as problem:
            self._log(f"{self.queue.name}: {problem}")
            return identities
        return failures_of(answer, identities, self.mapping.reports_failures)

    def _delete(self, handles: list[str]) -> None:
        entries = [{"Id": str(at), "ReceiptHandle": one} for at, one in enumerate(handles)]
        if entries:
            self._sqs.delete_message_batch(QueueUrl=self.queue.url, Entries=entries)


class EventBus:
    """EventBridge's default bus with the rules of the template."""

    def __init__(
        self, rules: list[Rule], queues: Mapping[str, Queue], sqs: Any, region: str, account: str,
        sent: Callable[[str], None],
    ):  # fmt: skip
        from moto.events.models import EventPattern  # slow to import, and needed only here

        self._rules = [(rule, EventPattern.load(json.dumps(rule.pattern))) for rule in rules]
        self._queues, self._sqs, self._sent = queues, sqs, sent
        self._region, self._account = region, account

    def put(self, source: str, detail_type: str, detail: Document, **given: Any) -> int:
        """Send an event to the targets of the rules that match; tells how many there were."""
        event = {
            "version": "0",
            "id": given.get("id") or str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": self._account,
            "time": given.get("time") or datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": given.get("resources") or [],
            "detail": detail,
        }
        targets = [
            target
            for rule, pattern in self._rules
            if pattern.matches_event(event)
            for target in rule.targets
        ]
        for target in targets:
            queue = self._queues[target]
            self._sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(event))
            self._sent(queue.arn)
        return len(targets)
