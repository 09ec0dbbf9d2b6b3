# SPDX-License-Identifier: MIT
"""queued, public repositories: a fork's pull request gets no machine, unless its spec allows it."""

from __future__ import annotations

from helpers import (
    LABELS,
    REPOSITORY,
    all_served,
    complaints,
    configure,
    forget,
    launches,
    log,
    metrics,
    queue_jobs,
    sent,
    told,
)

from cloud.faults import Error
from cloud.limits import until

ASKED = "actions/get-workflow-run"
FORK = "stranger/one"
RUN = 4711


def asked(cloud):
    return [call for call in cloud.github.api.calls if call.operation == ASKED]


def refused(cloud):
    """List the jobs that `queued` says it has refused."""
    records = [one for one in log(cloud, "queued") if one["message"].startswith("job refused")]
    return sorted(one["job"] for one in records)


def test_a_fork_gets_no_machine_and_people_are_told_once(cloud):
    jobs = [
        cloud.github.queue_job(REPOSITORY, LABELS, public=True, fork=FORK, run_id=RUN)
        for _ in range(3)
    ]
    assert until(lambda: refused(cloud) == [job.id for job in jobs])
    assert cloud.idle(), cloud.busy()
    assert {job.state for job in jobs} == {"queued"}
    assert launches(cloud) == []
    assert 1 <= len(asked(cloud)) <= len(jobs)
    assert len(metrics(cloud, "queued", "ForkJobsRefused")) == len(jobs)
    (notification,) = {one["title"]: one for one in told(cloud)}.values()
    assert notification["title"] == f"A fork's pull request gets no machine in {REPOSITORY}"
    assert notification["url"].startswith(f"https://github.com/{REPOSITORY}/actions/runs/{RUN}/")
    for queue in ("ParkedQueue", "WatchQueue"):
        assert sent(cloud, queue) == []
    assert cloud.left() == []
    assert cloud.github.violations == []


def test_a_public_repository_serves_its_own_runs(cloud):
    jobs = queue_jobs(cloud, 2, public=True)
    all_served(cloud, jobs)
    assert {call.status for call in asked(cloud)} == {200}
    assert len(asked(cloud)) == len(jobs)
    assert sent(cloud, "NotifyQueue") == []


def test_a_private_repository_costs_no_question(cloud):
    all_served(cloud, queue_jobs(cloud, 1, fork=FORK))
    assert asked(cloud) == []


def test_a_spec_may_allow_forks(cloud):
    configure(cloud, fork_pull_requests="allow")
    all_served(cloud, queue_jobs(cloud, 1, public=True, fork=FORK))
    assert asked(cloud) == []


def test_while_github_does_not_say_nothing_is_launched_and_nothing_is_lost(cloud):
    cloud.hurry = 60
    down = cloud.faults.add("github", ASKED, fault=Error("", 503, "Unavailable"))
    own = cloud.github.queue_job(REPOSITORY, LABELS, public=True)
    assert until(lambda: "waiting" in complaints(cloud, "queued"))
    assert launches(cloud) == []
    cloud.faults.remove(down)
    forget(cloud, "queued")  # which would not ask for a minute
    all_served(cloud, [own])
