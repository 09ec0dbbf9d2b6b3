# SPDX-License-Identifier: MIT
"""Many jobs at once, in real time.

The program of the zip runs in as many processes as the template allows, against a stand-in that
keeps to the budgets that GitHub and AWS publish (stand_in.py).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cloud.aws.lambda_host import Host
from tests.cloud.aws.sandbox import FunctionError, Sandbox
from tests.cloud.aws.template import load
from tests.cloud.serve import Server

from . import answers
from .figures import Bench, Figure, from_ssm
from .queues import Message, Queue
from .runs import BenchError
from .stand_in import StandIn

JOBS = 500
LIMIT = 300  # seconds
POINTS, POINTS_A_SECOND, EACH = 900, 15, 5
HANDLERS = ("queued", "register", "admit", "watch")  # what a job needs until its hand-over


@dataclass
class Source:
    """A queue, and how a function works on it."""

    queue: str
    handler: str
    batch: int
    concurrency: int


def sources() -> list[Source]:
    """Read from the template which function works on which queue."""
    resources = load()["Resources"]
    found = []
    for one in resources.values():
        if one["Type"] != "AWS::Lambda::EventSourceMapping":
            continue
        how = one["Properties"]
        queue = resources[how["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        name = queue["QueueName"]["Fn::Sub"].removeprefix("${Prefix}-")
        handler = resources[how["FunctionName"]["Ref"]]["Properties"]["Handler"]
        concurrency = how["ScalingConfig"]["MaximumConcurrency"]
        if handler in HANDLERS:
            found.append(Source(name, handler, how["BatchSize"], concurrency))
    return found


@dataclass
class Function:
    """A function as the template has it."""

    handler: str
    concurrency: int
    timeout: int = 60
    arn: str = "arn:aws:lambda:::function:burst"


class Burst:
    """The functions, fed from the queues of the stand-in."""

    def __init__(self, scaler: str, folder: Path, hurry: float = 1.0):
        self.world = StandIn(hurry)
        self._scaler, self._folder = scaler, folder
        self._over = threading.Event()
        self._aws = Server(self.world.aws, name="aws").start()
        self._github = Server(self.world.github, name="github").start()
        self._log = (folder / "burst.log").open("w")
        found = sources()
        self._hosts = {
            name: Host(self._function(name, found), self._start, self._failed) for name in HANDLERS
        }
        self._threads = [
            threading.Thread(target=self._poll, args=(source,), daemon=True)
            for source in found
            for _ in range(source.concurrency)
        ]

    def _function(self, name: str, found: list[Source]) -> Function:
        return Function(name, sum(one.concurrency for one in found if one.handler == name))

    def _start(self, function: Function) -> Sandbox:
        settings = from_ssm(function.handler) | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._aws.port}",
            "GITHUB_API_URL": f"http://127.0.0.1:{self._github.port}",
        }
        command, log = [self._scaler], self._say
        return Sandbox(function, command, settings, self._folder, log)  # type: ignore[arg-type]

    def _say(self, line: str) -> None:
        self._log.write(line.rstrip("\n") + "\n")

    def _failed(self, handler: str, error: FunctionError) -> None:
        self._say(f"{handler}: {error}")

    def _poll(self, source: Source) -> None:
        queue, host = self.world.queue(source.queue), self._hosts[source.handler]
        while not self._over.is_set():
            taken = queue.receive(0.5, source.batch)
            if taken:
                queue.settle(taken, self._invoke(queue, host, taken))

    def _invoke(self, queue: Queue, host: Host, taken: list[Message]) -> set[str]:
        event = json.dumps({"Records": [message.record(queue.name) for message in taken]})
        try:
            answer = json.loads(host.invoke(event.encode()) or b"{}")
        except FunctionError:
            return {message.id for message in taken}
        return {one["itemIdentifier"] for one in answer.get("batchItemFailures", [])}

    def run(self, jobs: int) -> float:
        """Queue the jobs, wait until each has its hand-over, and return when they were queued."""
        queued = self.world.queue("queued.fifo")
        began = time.monotonic()
        for number in range(jobs):
            body = answers.record(number)["body"]
            queued.send({"MessageBody": body, "MessageGroupId": str(number)})
        for thread in self._threads:
            thread.start()
        end = began + LIMIT
        while len(self.world.served) < jobs and time.monotonic() < end:
            time.sleep(0.05)
        return began

    def stop(self) -> None:
        """End the processes."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        for host in self._hosts.values():
            host.stop()
        self._aws.stop()
        self._github.stop()
        self._log.close()


def least(jobs: int) -> float:
    """Return the seconds in which GitHub's points allow so many registrations."""
    return max(1.0, (jobs * EACH - POINTS) / POINTS_A_SECOND)


def burst(bench: Bench) -> Iterator[Figure]:
    """Measure one burst: its time over the least, its machines, and what was refused."""
    jobs = max(20, round(JOBS * min(1.0, bench.effort)))
    one = Burst(bench.scaler, bench.peer.folder)
    try:
        began = one.run(jobs)
    finally:
        one.stop()
    world = one.world
    if world.unknown:
        raise BenchError(f"the stand-in does not play {', '.join(sorted(world.unknown))}")
    if len(world.served) < jobs:
        raise BenchError(f"{len(world.served)} of {jobs} jobs were served in {LIMIT} s")
    served = [at - began for at in world.served]
    launched = [at - began for at in world.machines.times]
    seconds, bound = max(served), least(jobs)
    each = f"{jobs} jobs at once, 1 run, GitHub's 900 points a minute"
    calls = ", ".join(f"{count} {name}" for name, count in world.calls.most_common())
    yield Figure("burst: until each has its hand-over", "s", [seconds], each)
    goal = 1.1 if jobs == JOBS else None
    yield Figure("burst: the same over what limits allow", "x", [seconds / bound], each, goal)
    yield Figure("burst: machines for each job", "", [len(launched) / jobs], each, 1.01)
    refused = ", ".join(f"{count} {name}" for name, count in world.refused.items()) or "none"
    yield Figure("burst: calls refused", "", [float(sum(world.refused.values()))], refused)
    yield Figure("burst: calls for each job", "", [sum(world.calls.values()) / jobs], calls)
    yield from over_time("launched", launched, jobs)
    yield from over_time("served", served, jobs)


def over_time(what: str, times: list[float], jobs: int) -> Iterator[Figure]:
    """Give the times of all, for the picture."""
    yield Figure(f"burst: {what}, each job", "s", sorted(times), f"since the burst, {jobs} jobs")
