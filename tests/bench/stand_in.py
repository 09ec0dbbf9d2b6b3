# SPDX-License-Identifier: MIT
"""AWS and GitHub for a burst: queues in memory, the time that calls take, and published budgets."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from tests.cloud.serve import Answer, Request

from . import answers
from .batches import LATENCY, OTHER

VISIBILITY = 360.0
BATCH = 10


class Bucket:
    """A budget of calls: so many at once, and so many more a second."""

    def __init__(self, holds: float, per_second: float):
        self.holds, self.per_second = holds, per_second
        self._left, self._at = holds, time.monotonic()
        self._lock = threading.Lock()

    def take(self, number: float = 1) -> bool:
        """Spend, if there is enough."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self.holds, self._left + (now - self._at) * self.per_second)
            self._at = now
            if self._left < number:
                return False
            self._left -= number
            return True


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
    """A queue; one of the kind FIFO gives out a group again only when what it gave is settled."""

    def __init__(self, name: str):
        self.name = name
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
            due = time.monotonic() + float(entry.get("DelaySeconds", 0))  # type: ignore[arg-type]
            body, group = str(entry["MessageBody"]), str(entry.get("MessageGroupId", ""))
            self._messages.append(Message(body, group, due, int(time.time() * 1000)))
            self._changed.notify()

    def receive(self, seconds: float) -> list[Message]:
        """Take up to ten messages, or none after so long."""
        with self._changed:
            end = time.monotonic() + seconds
            while not (found := self._free()) and time.monotonic() < end:
                self._changed.wait(0.05)
            for message in found:
                message.in_flight, message.receives = True, message.receives + 1
                message.due = time.monotonic() + VISIBILITY
            return found

    def _free(self) -> list[Message]:
        now = time.monotonic()
        locked = {one.group for one in self._messages if one.in_flight and one.due > now}
        found: list[Message] = []
        for message in self._messages:
            if message.due > now or (message.group and message.group in locked):
                locked.add(message.group)  # those behind it wait as well
            else:
                found.append(message)
        return found[:BATCH]

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


class StandIn:
    """The services; what happened is in `launched` and `served`, as times, and in `calls`."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.queues: dict[str, Queue] = {}
        self.launched: list[float] = []
        self.served: list[float] = []
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.points = Bucket(900, 15)
        self.budgets = {
            "RunInstances": Bucket(5, 2),
            "PutParameter": Bucket(40, 40),
        }
        self.budgets["GetParameter"] = self.budgets["GetParameters"] = Bucket(40, 40)
        self._machines = Bucket(1000, 2)
        self._lock = threading.Lock()
        self._launches: dict[str, bytes] = {}

    def queue(self, url: str) -> Queue:
        """Return a queue by its URL or name."""
        name = url.rpartition("scale-agent-")[2]
        with self._lock:
            return self.queues.setdefault(name, Queue(name))

    # -- GitHub --

    def github(self, request: Request) -> Answer:
        """Answer one call to GitHub."""
        name = request.path.rpartition("/")[2]
        points = 1 if request.method == "GET" else 5
        self.calls[name] += 1
        time.sleep(LATENCY.get(name, 100) / 1000)
        if name == "access_tokens":
            return Answer(201, TOKEN.encode())
        if not self.points.take(points):
            self.refused["GitHub"] += 1
            said = {"message": "You have exceeded a secondary rate limit."}
            return Answer(403, json.dumps(said).encode(), {"Retry-After": "60"})
        if name == "generate-jitconfig":
            runner = {"runner": {"id": self.calls[name]}, "encoded_jit_config": answers.jit()}
            return Answer.of(201, runner)
        return Answer.of(200, {"status": "queued", "runners": [], "jobs": [], "total_count": 0})

    # -- AWS --

    def aws(self, request: Request) -> Answer:
        """Answer one call to AWS."""
        action = request.headers.get("x-amz-target", "").rpartition(".")[2]
        form = {} if action else {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        action = action or form.get("Action", "")
        self.calls[action] += 1
        time.sleep(LATENCY.get(action, OTHER) / 1000)
        if action in self.budgets and not self.budgets[action].take():
            self.refused[action] += 1
            return refusal(action)
        if form:
            return self._ec2(action, form)
        return Answer.of(200, getattr(self, f"_{action.lower()}")(json.loads(request.body)))

    def _ec2(self, action: str, form: dict[str, str]) -> Answer:
        if action != "RunInstances":
            return Answer(200, f"<{action}Response><reservationSet/></{action}Response>".encode())
        with self._lock:
            if form["ClientToken"] not in self._launches:
                count = int(form["MaxCount"])
                if not self._machines.take(count):
                    self.refused[action] += 1
                    return refusal(action)
                text = answers.instances_xml(count)
                seed = hashlib.sha256(form["ClientToken"].encode()).hexdigest()[:16]
                for number in range(count):
                    text = text.replace(f"i-{number:017x}", f"i-{seed}{number:x}")
                self._launches[form["ClientToken"]] = text.encode()
                self.launched += [time.monotonic() - self.began] * count
            return Answer(200, self._launches[form["ClientToken"]])

    def _sendmessage(self, body: dict[str, object]) -> dict[str, object]:
        self.queue(str(body["QueueUrl"])).send(body)
        return {"MessageId": str(uuid.uuid4())}

    def _sendmessagebatch(self, body: dict[str, object]) -> dict[str, object]:
        entries: list[dict[str, object]] = body["Entries"]  # type: ignore[assignment]
        for entry in entries:
            self.queue(str(body["QueueUrl"])).send(entry)
        done = [{"Id": one["Id"], "MessageId": str(uuid.uuid4())} for one in entries]
        return {"Successful": done, "Failed": []}

    def _getqueueattributes(self, body: dict[str, object]) -> dict[str, object]:
        return {"Attributes": self.queue(str(body["QueueUrl"])).counts()}

    def _deletemessage(self, body: dict[str, object]) -> dict[str, object]:
        self.queue(str(body["QueueUrl"])).change(str(body["ReceiptHandle"]), None)
        return {}

    def _changemessagevisibility(self, body: dict[str, object]) -> dict[str, object]:
        seconds = float(body["VisibilityTimeout"])  # type: ignore[arg-type]
        self.queue(str(body["QueueUrl"])).change(str(body["ReceiptHandle"]), seconds)
        return {}

    def _changemessagevisibilitybatch(self, body: dict[str, object]) -> dict[str, object]:
        entries: list[dict[str, object]] = body["Entries"]  # type: ignore[assignment]
        for entry in entries:
            self._changemessagevisibility({"QueueUrl": body["QueueUrl"], **entry})
        return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}

    def _getparameter(self, body: dict[str, object]) -> dict[str, object]:
        return {"Parameter": {"Value": VALUES[str(body["Name"]).rpartition("/")[2]]}}

    def _getparameters(self, body: dict[str, object]) -> dict[str, object]:
        names: list[str] = body["Names"]  # type: ignore[assignment]
        found = [{"Name": name, "Value": VALUES[name.rpartition("/")[2]]} for name in names]
        return {"Parameters": found, "InvalidParameters": []}

    def _getparametersbypath(self, _: dict[str, object]) -> dict[str, object]:
        return {"Parameters": []}

    def _putparameter(self, _: dict[str, object]) -> dict[str, object]:
        with self._lock:
            self.served.append(time.monotonic() - self.began)
        return {"Tier": "Standard", "Version": 1}


def refusal(action: str) -> Answer:
    """Refuse a call for its budget, as its service does."""
    if action == "RunInstances":
        code = "<Code>RequestLimitExceeded</Code><Message>Slowly.</Message>"
        return Answer(503, f"<Response><Errors><Error>{code}</Error></Errors></Response>".encode())
    return Answer.of(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})


TOKEN = json.dumps({"token": "ghs_" + "x" * 36, "expires_at": "2099-01-01T00:00:00Z"})
VALUES = {
    "config": json.dumps(answers.CONFIG),
    "private-key": answers.make_app_key()[0],
    "webhook-secret": answers.SECRET,
    "ticket-key": "0123456789abcdef" * 4,
}
