# SPDX-License-Identifier: MIT
"""The queue of jobs at GitHub: which runner gets which job, and which webhooks that makes.

GitHub knows no affinity: a runner that comes online gets the oldest waiting job whose labels it
has. The job is `queued`, then `in_progress` on a runner, then `completed`; each step is announced
by a webhook. A runner that goes away in the middle of a job fails it after a while.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from .registry import Registry, Runner

CONCLUSIONS = {"Succeeded": "success", "Failed": "failure", "Canceled": "cancelled"}


@dataclass
class Job:
    """One job of a workflow run. Times are epoch seconds; None is not yet."""

    id: int
    run_id: int
    repository: str
    labels: list[str]
    name: str = "build"
    attempt: int = 1
    branch: str = ""
    event: str = "push"
    public: bool = False
    fork: str = ""
    run_seconds: float = 0.2
    result: str = "success"
    behaviour: str = ""
    script: str = ""
    output: str = ""
    state: str = "queued"
    conclusion: str | None = None
    runner_id: int | None = None
    runner_name: str | None = None
    runner_group: int | None = None
    runners: list[str] = field(default_factory=list)
    created: float = field(default_factory=time.time)
    started: float | None = None
    completed: float | None = None

    def message(self) -> dict[str, object]:
        """The message to the runner."""
        return {
            "id": self.id,
            "name": self.name,
            "seconds": self.run_seconds,
            "result": "Failed" if self.result == "failure" else "Succeeded",
            "behaviour": self.behaviour,
            "script": self.script,
        }


class Session(Protocol):
    """The live connection of a runner, as the queue sees it."""

    runner: Runner
    job: Job | None

    def send(self, message: dict[str, object]) -> bool:
        """Tell the runner something; False when it is gone."""


class Jobs:
    """Matches jobs with listening runners, and wakes waiting threads at each change."""

    def __init__(self, registry: Registry, announce: Callable[[Job, str], None]) -> None:
        self.registry = registry
        self.announce = announce
        self.all: list[Job] = []
        self.hold = False
        self.acquire_seconds = 60.0  # a runner on a busy machine takes its time
        self.lost_seconds = 2.0
        self.changed = threading.Condition(registry.lock)
        self._sessions: list[Session] = []
        self._losing: list[Session] = []
        self._ids = itertools.count(289782451)

    def queue(
        self,
        repository: str,
        labels: list[str],
        *,
        run_seconds: float = 0.2,
        result: str = "success",
        name: str = "build",
        behaviour: str = "",
        script: str = "",
        announce: bool = True,
        run_id: int = 0,
        branch: str = "",
        public: bool = False,
        fork: str = "",
    ) -> Job:
        """A workflow wants a job to run; `announce` False loses the webhook at its source.

        Without a run or a branch it has one of its own. `public` is its repository; a `fork` is
        the repository that its pull request comes from.
        """
        with self.changed:
            number = next(self._ids)
            run_id = run_id or number + 1_912_446_627
            job = Job(number, run_id, repository, list(labels), name)
            job.branch = branch or f"topic-{run_id}"
            job.run_seconds, job.result, job.behaviour = run_seconds, result, behaviour
            job.script, job.public, job.fork = script, public, fork
            job.event = "pull_request" if fork else job.event
            self.all.append(job)
            if announce:
                self.announce(job, "queued")
            self._assign()
        return job

    def cancel(self, job: Job) -> None:
        """A person cancels a job: at once while it waits, through its runner while it runs."""
        with self.changed:
            if job.state == "queued":
                self._complete(job, "cancelled")
            elif job.state == "in_progress":
                for session in self._sessions:
                    if session.job is job:
                        session.send({"cancel": job.id})

    def rerun(self, job: Job) -> Job:
        """Queue a completed job again, as the next attempt of its run."""
        with self.changed:
            again = Job(next(self._ids), job.run_id, job.repository, job.labels, job.name)
            again.attempt, again.run_seconds = job.attempt + 1, job.run_seconds
            again.branch, again.event = job.branch, job.event
            again.public, again.fork = job.public, job.fork
            self.all.append(again)
            self.announce(again, "queued")
            self._assign()
        return again

    def carry(self, job: Job) -> None:
        """Show a job as it ended in the next attempt of its run too, under another id."""
        with self.changed:
            self.all.append(replace(job, id=next(self._ids), attempt=job.attempt + 1))

    def joined(self, session: Session) -> None:
        """A runner listens for jobs."""
        with self.changed:
            session.runner.listening = time.time()
            self._sessions.append(session)
            self._assign()
            self.changed.notify_all()

    def acquired(self, session: Session) -> None:
        """A runner has begun the job that it was given."""
        with self.changed:
            job, runner = session.job, session.runner
            if job is None or job.state != "queued":
                return
            job.state, job.started = "in_progress", time.time()
            job.runner_id, job.runner_name = runner.id, runner.name
            job.runner_group = runner.group
            job.runners.append(runner.name)
            self.announce(job, "in_progress")
            self.changed.notify_all()

    def finished(self, session: Session, result: str, output: str = "") -> None:
        """A runner reports how its job ended; an ephemeral one is then forgotten."""
        with self.changed:
            job, session.job = session.job, None
            self._drop(session)
            if job is not None and job.state == "in_progress":
                job.output = output
                self._complete(job, CONCLUSIONS.get(result, "failure"))
            self.registry.remove(session.runner)
            self.changed.notify_all()

    def left(self, session: Session) -> None:
        """The connection of a runner ended; a running job is lost, one not begun waits again."""
        with self.changed:
            job = session.job
            self._drop(session)
            session.runner.online = False
            session.runner.busy = job is not None
            if job is not None:
                seconds = self.lost_seconds if job.state == "in_progress" else 0.0
                self._losing.append(session)
                timer = threading.Timer(seconds, self._lost, [session])
                timer.daemon = True
                timer.start()
            self.changed.notify_all()

    def losing(self) -> list[int]:
        """List the jobs whose runner is gone, which GitHub has not noticed yet."""
        with self.changed:
            return [session.job.id for session in self._losing if session.job is not None]

    def _lost(self, session: Session) -> None:
        with self.changed:
            job, session.job = session.job, None
            session.runner.busy = False
            self._losing.remove(session)
            if job is not None and job.state == "in_progress":
                self.registry.remove(session.runner)
                self._complete(job, "failure")
            self._assign()

    def _drop(self, session: Session) -> None:
        session.runner.busy = False
        if session in self._sessions:
            self._sessions.remove(session)

    def _complete(self, job: Job, conclusion: str) -> None:
        job.state, job.conclusion, job.completed = "completed", conclusion, time.time()
        self.announce(job, "completed")
        self.changed.notify_all()

    def _assign(self) -> None:
        if self.hold:
            return
        taken = {s.job.id for s in self._sessions if s.job is not None}
        for job in self.all:
            if job.state != "queued" or job.id in taken:
                continue
            for session in self._sessions:
                fits = session.job is None and session.runner.covers(job.repository, job.labels)
                if fits and self._give(session, job):
                    break

    def _give(self, session: Session, job: Job) -> bool:
        if not session.send({"job": job.message()}):
            return False
        session.job = job
        session.runner.busy = True
        timer = threading.Timer(self.acquire_seconds, self._unacquired, [session, job])
        timer.daemon = True
        timer.start()
        return True

    def _unacquired(self, session: Session, job: Job) -> None:
        with self.changed:
            if session.job is job and job.state == "queued":
                session.job = None
                self._drop(session)
                self._assign()

    def sessions(self) -> list[Session]:
        """The runners that listen or work."""
        with self.changed:
            return list(self._sessions)

    def release(self) -> None:
        """Give out the jobs that were held back."""
        with self.changed:
            self.hold = False
            self._assign()
