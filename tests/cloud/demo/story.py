# SPDX-License-Identifier: MIT
"""The life of jobs, told from records of real events.

Its sources are the record of calls to AWS and GitHub, the deliveries of webhooks, the machines'
moments, and the state of jobs and runners at GitHub. `news` gives what is new since it was last
asked. A line about a machine waits until the hand-over tells which job the machine is for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..github.jobs import Job
from ..github.webhooks import Delivery
from ..machines.machine import Moment
from .failover import CAPACITY, Failover, Refusal

if TYPE_CHECKING:
    from ..aws.wire import Call
    from ..cloud import Cloud

PATIENCE = 2.0
SORT_SECONDS = 0.25
# what a machine does on its way, as people know it
STAGES = {
    "on": ("launched", ""),
    "agent": ("agent up", ""),
    "off": ("machine off", ""),
    "spot notice": ("spot notice", "trouble"),
    "agent failed": ("agent failed", "trouble"),
    "watchdog": ("watchdog", "trouble"),
    "still on": ("still on", "trouble"),
}


@dataclass
class Line:
    """Something to tell: when, about which job (None: no single one), which stage, and the rest."""

    at: float
    job: Job | None
    stage: str
    text: str
    mood: str = ""
    instance: str = ""


@dataclass
class Life:
    """What the closing table says of one job."""

    job: Job
    sent: float = 0.0
    instance: str = ""
    type: str = ""
    market: str = ""
    off: float | None = None
    machines: list[str] = field(default_factory=list)


class Story:
    """Watches a cloud and some jobs in it."""

    def __init__(self, cloud: Cloud, jobs: list[Job]) -> None:
        assert cloud.github is not None and cloud.machines is not None
        self.cloud, self.github, self.machines = cloud, cloud.github, cloud.machines
        self.lives = {job.id: Life(job, job.created) for job in jobs}
        self.began = min(job.created for job in jobs)
        self._seen = {"calls": 0, "github": 0, "moments": 0}
        self._told: set[tuple[str, object]] = set()
        self._for: dict[str, Job] = {}
        self._waiting: list[Line] = []
        self._failover = Failover(_zones(cloud))

    def news(self, now: float) -> list[Line]:
        """What has happened until shortly before `now` and was not told yet, in order."""
        lines = [*self._deliveries(), *self._calls(), *self._github_calls()]
        lines += [*self._moments(), *self._runners(), *self._jobs()]
        lines += self._waiting
        self._waiting = []
        ready = []
        for line in lines:
            line.job = line.job or self._for.get(line.instance)
            unknown = line.instance and line.job is None
            patience = PATIENCE if unknown else SORT_SECONDS
            (self._waiting if now - line.at < patience else ready).append(line)
        ready += [
            self._refused(refusal) for refusal in self._failover.unanswered(now - 2 * PATIENCE)
        ]
        return _merged(sorted(ready, key=lambda line: line.at))

    def since_webhook(self, line: Line) -> float:
        """Seconds since the webhook of the line's job, or since the first one."""
        return line.at - (self.lives[line.job.id].sent if line.job else self.began)

    def _once(self, kind: str, what: object) -> bool:
        if (kind, what) in self._told:
            return False
        self._told.add((kind, what))
        return True

    def _new(self, kind: str, record: Any) -> list[Any]:
        every = list(record)
        fresh, self._seen[kind] = every[self._seen[kind] :], len(every)
        return fresh

    def _deliveries(self) -> list[Line]:
        lines = []
        for delivery in list(self.github.webhooks.deliveries):
            job = self._job(delivery.job_id)
            if job is None or delivery.status is None or not self._once("sent", id(delivery)):
                continue
            lines += self._delivery(delivery, job)
        return lines

    def _delivery(self, delivery: Delivery, job: Job) -> list[Line]:
        answered = delivery.answered or delivery.sent
        took = f"answered {delivery.status} in {(answered - delivery.sent) * 1000:.0f} ms"
        if not 200 <= (delivery.status or 0) < 300:
            why = delivery.error or f"answered {delivery.status}"
            return [Line(answered, job, "not delivered", f"{delivery.action}: {why}", "bad")]
        if delivery.action != "queued":
            return []
        if delivery.kind:
            return [Line(answered, job, delivery.kind, f"webhook {took}", "trouble")]
        self.lives[job.id].sent = delivery.sent
        return [Line(answered, job, "queued", f"{job.repository}: webhook {took}")]

    def _calls(self) -> list[Line]:
        lines = []
        for call in self._new("calls", self.cloud.calls):
            if call.action == "RunInstances":
                lines += self._run_instances(call)
            elif call.status == 200 and call.action == "PutParameter":
                lines += self._handed_over(call)
            elif call.status == 200 and call.action == "SendMessage":
                lines += self._message(call)
            elif call.error and set(call.faults) - {"Latency"}:
                lines.append(self._fault(call))
        return lines

    def _run_instances(self, call: Call) -> list[Line]:
        refusal = self._failover.see(call)
        lines = [self._refused(refusal)] if refusal else []
        if call.error and not call.error.startswith(CAPACITY):
            lines.append(self._fault(call))
        return lines

    def _refused(self, refusal: Refusal) -> Line:
        return Line(refusal.at, self._only_job(), "failover", str(refusal), "trouble")

    def _fault(self, call: Call) -> Line:
        what = f"{call.service} {call.action}: {call.error or call.status}"
        return Line(call.time, self._only_job(), "fault", what, "trouble")

    def _only_job(self) -> Job | None:
        return next(iter(self.lives.values())).job if len(self.lives) == 1 else None

    def _handed_over(self, call: Call) -> list[Line]:
        folder, _, instance = str(call.parameters.get("Name", "")).rpartition("/")
        try:
            job_id = json.loads(call.parameters["Value"])["job"]["id"]
        except (KeyError, TypeError, ValueError):
            return []
        job = self._job(job_id)
        if job is None or not folder.endswith("/runners"):
            return []
        self._for[instance] = job
        self.lives[job.id].machines.append(instance)
        size = len(call.parameters["Value"].encode())
        return [Line(call.time + call.seconds, job, "handed over", f"{size} bytes for {instance}")]

    def _message(self, call: Call) -> list[Line]:
        queue = str(call.parameters.get("QueueUrl", "")).rsplit("/", 1)[-1]
        body = call.parameters.get("MessageBody", "")
        if queue.endswith("-parked"):
            delay = call.parameters.get("DelaySeconds", 0)
            text = f"nothing was launched: tried again in {delay} s"
            return [Line(call.time, self._job(_job_id(body)), "parked", text, "trouble")]
        if queue.endswith("-notify.fifo"):
            return [Line(call.time, None, "people told", _title(body), "trouble")]
        if "dead-letters" in queue:
            return [Line(call.time, self._job(_job_id(body)), "dead letter", queue, "bad")]
        return []

    def _github_calls(self) -> list[Line]:
        lines = []
        for call in self._new("github", self.github.api.calls):
            if call.fault:
                what = f"github {call.operation.split('/')[-1]}: {call.status or 'cut'}"
                lines.append(Line(call.at, None, "fault", what, "trouble"))
        return lines

    def _moments(self) -> list[Line]:
        lines = []
        for moment in self._new("moments", self.machines.moments):
            if moment.stage in STAGES:
                lines.append(self._moment(moment))
        return lines

    def _moment(self, moment: Moment) -> Line:
        stage, mood = STAGES[moment.stage]
        text, facts = moment.detail, self.machines.all[moment.instance_id].facts
        if moment.stage == "on":
            text = f"{facts.instance_id}, {facts.instance_type} {facts.market} in {facts.zone}"
        elif moment.stage == "agent":
            text = f"on {moment.instance_id}"
        elif moment.stage == "off":
            text = moment.instance_id
            expected = (
                moment.detail == "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
            )
            text += "" if expected else f" ({moment.detail.partition(': ')[2]})"
            self._ended(moment)
        return Line(moment.at, None, stage, text, mood, moment.instance_id)

    def _ended(self, moment: Moment) -> None:
        for life in self.lives.values():
            if life.instance == moment.instance_id:
                life.off = moment.at

    def _runners(self) -> list[Line]:
        lines = []
        for runner in self.github.registry.everyone():
            if runner.listening and self._once("listening", runner.id):
                text = f"runner {runner.name}"
                lines.append(Line(runner.listening, None, "listening", text, "", runner.name))
        return lines

    def _jobs(self) -> list[Line]:
        lines = []
        for life in self.lives.values():
            job = life.job
            if job.started and self._once("started", job.id):
                self._took(life)
                other = self._for.get(life.instance)
                text = f"on {life.instance}"
                if other is not None and other is not job:
                    text += f", which was launched for {other.name}"
                self._for[life.instance] = job
                lines.append(Line(job.started, job, "job started", text))
            if job.completed and self._once("completed", job.id):
                ran = f" after {job.completed - job.started:.2f} s" if job.started else ""
                mood = "good" if job.conclusion == "success" else "bad"
                lines.append(Line(job.completed, job, "job done", f"{job.conclusion}{ran}", mood))
        return lines

    def _took(self, life: Life) -> None:
        life.instance = life.job.runner_name or ""
        machine = self.machines.all.get(life.instance)
        if machine is not None:
            life.type, life.market = machine.facts.instance_type, machine.facts.market

    def _job(self, job_id: object) -> Job | None:
        life = self.lives.get(job_id) if isinstance(job_id, int) else None
        return life.job if life else None


def _zones(cloud: Cloud) -> dict[str, str]:
    subnets = cloud.client("ec2").describe_subnets()["Subnets"]
    return {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets}


def _merged(lines: list[Line]) -> list[Line]:
    """Merge equal lines that belong to no job into one with a count."""
    counts: dict[tuple[str, str], int] = {}
    kept = []
    for line in lines:
        key = (line.stage, line.text)
        if line.job is None:
            counts[key] = counts.get(key, 0) + 1
        if line.job is not None or counts[key] == 1:
            kept.append(line)
    for line in kept:
        count = counts.get((line.stage, line.text), 1)
        if line.job is None and count > 1:
            line.text += f" (x{count})"
    return kept


def _job_id(body: str) -> object:
    """The job that a message of the scaler's is about."""
    try:
        message = json.loads(body)
    except ValueError:
        return None
    for place in ("job", "workflow_job"):
        if isinstance(message.get(place), dict):
            return message[place].get("id")
    return message.get("job_id") or message.get("id")


def _title(body: str) -> str:
    try:
        return str(json.loads(body)["title"])
    except (KeyError, TypeError, ValueError):
        return body[:80]
