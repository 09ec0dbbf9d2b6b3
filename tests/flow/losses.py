# SPDX-License-Identifier: MIT
"""Jobs that were lost with their machines, as GitHub and the queue have them."""

from __future__ import annotations

from typing import Any

from helpers import LABELS, REPOSITORY, Document, now_ms

from cloud.cloud import Cloud
from cloud.github.jobs import Job

RUN = 4711


def ended(
    stage: Cloud, conclusion: str, runner: str = "", run_id: int = RUN, **changes: Any
) -> Job:
    """Make a job of the run that has ended so."""
    job = stage.github.queue_job(REPOSITORY, LABELS, announce=False, run_id=run_id)
    job.state, job.conclusion = "completed", conclusion
    job.started, job.completed = job.created, job.created + 60
    job.runner_id, job.runner_group, job.runner_name = (1, 1, runner) if runner else (None,) * 3
    for name, value in changes.items():
        setattr(job, name, value)
    return job


def lost(job: Job, **changes: Any) -> Document:
    """Make the message about a job whose machine EC2 took back."""
    url = f"https://github.com/{job.repository}/actions/runs/{job.run_id}/job/{job.id}"
    return {
        "action": "lost",
        "id": job.id,
        "run_id": job.run_id,
        "attempt": job.attempt,
        "installation": 4711,
        "repository": job.repository,
        "url": url,
        "spec": "linux-x64",
        "labels": [],
        "instance": job.runner_name,
        "machines": f"/{job.runner_name}/",
        "lost_ms": now_ms(),
    } | changes
