# SPDX-License-Identifier: MIT
"""AWS and GitHub for a burst: the time that calls take, and published budgets."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from urllib.parse import parse_qs

from tests.cloud.serve import Answer, Request

from . import answers
from .batches import LATENCY, OTHER
from .machines import Machines
from .queues import Queue


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


class StandIn:
    """The services; what happened is in `machines`, `served` (times), and the counts of calls."""

    def __init__(self, hurry: float = 1.0) -> None:
        self.queues: dict[str, Queue] = {}
        self.hurry = hurry
        self.machines = Machines()
        self.parameters = dict(PARAMETERS)
        self.served: list[float] = []
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()  # what this does not play: no figure is true then
        self.points = Bucket(900, 15)
        self.budgets = {
            "RunInstances": Bucket(5, 2),
            "PutParameter": Bucket(40, 40),
        }
        self.budgets["GetParameter"] = self.budgets["GetParameters"] = Bucket(40, 40)
        self._resources = Bucket(1000, 2)
        self._lock = threading.Lock()

    def queue(self, url: str) -> Queue:
        """Return a queue by its URL or name."""
        name = url.rpartition("scale-agent-")[2]
        with self._lock:
            return self.queues.setdefault(name, Queue(name, self.hurry))

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
        if request.path.rpartition("/")[0].endswith("/actions/jobs"):
            runs = int(name) in self.machines.jobs
            return Answer.of(200, {"id": int(name), "status": "in_progress" if runs else "queued"})
        self.unknown[f"{request.method} {request.path}"] += 1
        return Answer.of(404, {"message": "Not Found"})

    # -- AWS --

    def aws(self, request: Request) -> Answer:
        """Answer one call to AWS."""
        action = request.headers.get("x-amz-target", "").rpartition(".")[2]
        form = {} if action else {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        action = action or form.get("Action", "")
        self.calls[action] += 1
        time.sleep(LATENCY.get(action, OTHER) / 1000)
        if action in self.budgets and not self.budgets[action].take():
            return self._refuse(action)
        known = getattr(self, f"_{action.lower()}", None)
        if known is None:
            self.unknown[action] += 1
            return Answer.of(400, {"__type": "UnknownOperationException"})
        answer = known(form or json.loads(request.body))
        return answer if isinstance(answer, Answer) else Answer.of(200, answer)

    def _refuse(self, action: str) -> Answer:
        self.refused[action] += 1
        return refusal(action)

    def _runinstances(self, form: dict[str, str]) -> Answer:
        known = self.machines.known(form)
        if not known and not self._resources.take(int(form["MaxCount"])):
            return self._refuse("RunInstances")
        return Answer(200, self.machines.launch(form))

    def _describeinstances(self, form: dict[str, str]) -> Answer:
        return Answer(200, self.machines.describe(form))

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

    def _getparameter(self, body: dict[str, object]) -> dict[str, object] | Answer:
        found = self._find([str(body["Name"])])
        return {"Parameter": found[0]} if found else Answer.of(400, {"__type": "ParameterNotFound"})

    def _getparameters(self, body: dict[str, object]) -> dict[str, object]:
        names: list[str] = body["Names"]  # type: ignore[assignment]
        found = self._find(names)
        missing = set(names) - {one["Name"] for one in found}
        return {"Parameters": found, "InvalidParameters": sorted(missing)}

    def _getparametersbypath(self, body: dict[str, object]) -> dict[str, object]:
        path = str(body["Path"]).rstrip("/") + "/"
        return {"Parameters": self._find([name for name in self.parameters if path in name])}

    def _find(self, names: list[str]) -> list[dict[str, str]]:
        known = self.parameters
        return [{"Name": name, "Value": known[name]} for name in names if name in known]

    def _putparameter(self, body: dict[str, object]) -> dict[str, object]:
        name, value = str(body["Name"]), str(body["Value"])
        self.parameters[name] = value
        folder, _, instance = name.rpartition("/")
        if folder.endswith("/runners"):
            self.machines.hand_over(instance, value)
            self.served.append(time.monotonic())
        return {"Tier": "Standard", "Version": 1}

    def _deleteparameters(self, body: dict[str, object]) -> dict[str, object]:
        names: list[str] = body["Names"]  # type: ignore[assignment]
        gone = [name for name in names if self.parameters.pop(name, None)]
        return {"DeletedParameters": gone, "InvalidParameters": sorted(set(names) - set(gone))}


def refusal(action: str) -> Answer:
    """Refuse a call for its budget, as its service does."""
    if action == "RunInstances":
        code = "<Code>RequestLimitExceeded</Code><Message>Slowly.</Message>"
        return Answer(503, f"<Response><Errors><Error>{code}</Error></Errors></Response>".encode())
    return Answer.of(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})


TOKEN = json.dumps({"token": "ghs_" + "x" * 36, "expires_at": "2099-01-01T00:00:00Z"})
PARAMETERS = {
    f"/scale-agent/{name}": value
    for name, value in {
        "config": json.dumps(answers.CONFIG),
        "github/private-key": answers.make_app_key()[0],
        "github/webhook-secret": answers.SECRET,
        "ticket-key": "0123456789abcdef" * 4,
    }.items()
}
