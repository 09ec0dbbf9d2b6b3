# SPDX-License-Identifier: MIT
"""Workflow runs: the jobs of one run are its attempts, and a complete run can be run again.

A run is what its jobs say: it has no record of its own. A new attempt queues the jobs that run
again, and shows all others as they were. GitHub refuses while any job of the run is under way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..serve import Request, iso
from .jobs import Job
from .tokens import Refused
from .webhooks import job_document, workflow_job_body

if TYPE_CHECKING:
    from .stand_in import GitHub

Result = tuple[int, Any]
WORKFLOW = 159_038
ENDED_WELL = ("success", "skipped", "neutral")


def run_document(github: GitHub, run_id: int) -> dict[str, Any]:
    """A run as the API shows it."""
    first = _attempts(github, run_id)[0]
    latest = _latest(github, run_id)
    complete = all(job.state == "completed" for job in latest)
    body = workflow_job_body(first, "queued", 0)
    api = f"https://api.github.com/repos/{first.repository}/actions"
    run = f"{api}/runs/{run_id}"
    return {
        "id": run_id,
        "name": "CI",
        "node_id": f"WFR_kwLOLocalCloud{run_id}",
        "head_branch": first.branch,
        "head_sha": body["workflow_job"]["head_sha"],
        "path": ".github/workflows/ci.yml",
        "display_title": "CI",
        "run_number": _numbers(github)[run_id],
        "run_attempt": latest[0].attempt,
        "event": first.event,
        "status": "completed" if complete else _status(latest),
        "conclusion": _conclusion(latest) if complete else None,
        "workflow_id": WORKFLOW,
        "url": run,
        "html_url": f"https://github.com/{first.repository}/actions/runs/{run_id}",
        "pull_requests": [],
        "created_at": iso(first.created),
        "updated_at": iso(max(job.completed or job.created for job in latest)),
        "jobs_url": f"{run}/jobs",
        "logs_url": f"{run}/logs",
        "check_suite_url": f"https://api.github.com/repos/{first.repository}/check-suites/1",
        "artifacts_url": f"{run}/artifacts",
        "cancel_url": f"{run}/cancel",
        "rerun_url": f"{run}/rerun",
        "workflow_url": f"{api}/workflows/{WORKFLOW}",
        "head_commit": None,
        "repository": body["repository"],
        "head_repository": _head_repository(first, body["repository"]),
    }


def _head_repository(job: Job, repository: dict[str, Any]) -> dict[str, Any]:
    if not job.fork:
        return repository
    text = json.dumps(repository).replace(job.repository, job.fork)
    return json.loads(text) | {"id": repository["id"] + 1, "fork": True}


def _attempts(github: GitHub, run_id: int) -> list[Job]:
    return [job for job in list(github.jobs.all) if job.run_id == run_id]


def _latest(github: GitHub, run_id: int) -> list[Job]:
    jobs = _attempts(github, run_id)
    return [job for job in jobs if job.attempt == max(one.attempt for one in jobs)]


def _numbers(github: GitHub) -> dict[int, int]:
    """Number the runs as they were made."""
    order = dict.fromkeys(job.run_id for job in list(github.jobs.all))
    return {run_id: number for number, run_id in enumerate(order, 1)}


def _status(jobs: list[Job]) -> str:
    begun = any(job.state != "queued" for job in jobs)
    return "in_progress" if begun else "queued"


def _conclusion(jobs: list[Job]) -> str:
    ends = [job.conclusion for job in jobs]
    return next((one for one in ("failure", "cancelled") if one in ends), "success")


def _run_of(github: GitHub, names: dict[str, str]) -> int:
    run_id = int(names["run_id"])
    jobs = _attempts(github, run_id)
    if not jobs or jobs[0].repository.lower() != _repository(names):
        raise Refused(404, "Not Found")
    return run_id


def _repository(names: dict[str, str]) -> str:
    return f"{names['owner']}/{names['repo']}".lower()


def _job_of(github: GitHub, names: dict[str, str]) -> Job:
    for job in list(github.jobs.all):
        if job.id == int(names["job_id"]) and job.repository.lower() == _repository(names):
            return job
    raise Refused(404, "Not Found")


def _page(request: Request, items: list[Any]) -> list[Any]:
    size = max(1, min(100, int(request.query.get("per_page", ["30"])[0])))
    first = (int(request.query.get("page", ["1"])[0]) - 1) * size
    return items[first : first + size]


# -- the operations -------------------------------------------------------------------------------


def _get_job(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    return 200, job_document(_job_of(github, names))


def _get_run(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    return 200, run_document(github, _run_of(github, names))


def _list_jobs(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    run_id = _run_of(github, names)
    found = [j for j in _attempts(github, run_id) if j.attempt == int(names["attempt_number"])]
    if not found:
        raise Refused(404, "Not Found")
    page = [job_document(job) for job in _page(request, found)]
    return 200, {"total_count": len(found), "jobs": page}


def _list_runs(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    if names["workflow_id"] != str(WORKFLOW):
        raise Refused(404, "Not Found")
    found = [
        document
        for document in (run_document(github, one) for one in reversed(_numbers(github)))
        if document["repository"]["full_name"].lower() == _repository(names)
        and document["head_branch"] in request.query.get("branch", [document["head_branch"]])
    ]
    return 200, {"total_count": len(found), "workflow_runs": _page(request, found)}


def _rerun_failed(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    run_id = _run_of(github, names)
    with github.jobs.changed:
        latest = _latest(github, run_id)
        if any(job.state != "completed" for job in latest):
            raise Refused(403, "This workflow is already running")
        failed = [job for job in latest if job.conclusion not in ENDED_WELL]
        if not failed:
            raise Refused(403, "This workflow run cannot be retried")
        _attempt(github, latest, failed)
    return 201, {}


def _rerun_job(github: GitHub, names: dict[str, str], request: Request, body: Any) -> Result:
    job = _job_of(github, names)
    with github.jobs.changed:
        latest = _latest(github, job.run_id)
        if any(one.state != "completed" for one in latest):
            raise Refused(403, "The workflow run containing this job is already running")
        if job not in latest:
            raise Refused(403, "Only jobs from the current attempt can be re-run")
        _attempt(github, latest, [job])
    return 201, {}


def _attempt(github: GitHub, latest: list[Job], again: list[Job]) -> None:
    for job in latest:
        if job in again:
            github.jobs.rerun(job)
        else:
            github.jobs.carry(job)


RUN_OPERATIONS: dict[str, Callable[[GitHub, dict[str, str], Request, Any], Result]] = {
    "actions/get-job-for-workflow-run": _get_job,
    "actions/get-workflow-run": _get_run,
    "actions/list-jobs-for-workflow-run-attempt": _list_jobs,
    "actions/list-workflow-runs": _list_runs,
    "actions/re-run-workflow-failed-jobs": _rerun_failed,
    "actions/re-run-job-for-workflow-run": _rerun_job,
}
