# SPDX-License-Identifier: MIT
"""Jobs whose machine EC2 took back: GitHub runs them again once, or people are told why not."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from helpers import (
    LABELS,
    REPOSITORY,
    all_done,
    batch,
    configure,
    failures,
    log,
    offers,
    sent,
    told,
)
from losses import RUN, ended, lost

from cloud.aws.lambda_host import FunctionError
from cloud.faults import Error, Kill
from cloud.github.tokens import PERMISSIONS
from cloud.limits import until

FAILED_JOBS = "actions/re-run-workflow-failed-jobs"
ONE_JOB = "actions/re-run-job-for-workflow-run"


def asked(cloud, *statuses):
    """List what GitHub was asked to run again, and answered with one of these."""
    calls = [call for call in cloud.github.api.calls if "re-run" in call.operation]
    return [call.operation for call in calls if call.status in (statuses or (201,))]


def next_attempt(cloud, job):
    """Give the jobs of the next attempt of a job's run, once all are there."""

    def jobs(attempt):
        return [
            one
            for one in list(cloud.github.jobs.all)
            if one.run_id == job.run_id and one.attempt == attempt
        ]

    assert until(lambda: len(jobs(job.attempt + 1)) == len(jobs(job.attempt)))
    return jobs(job.attempt + 1)


def lose(cloud, job):
    """Let EC2 take back the machine that runs a job."""
    assert until(lambda: job.state == "in_progress")
    job.run_seconds = 0.2  # of the next attempt
    cloud.machines.interrupt(job.runner_name, in_seconds=3)
    assert until(lambda: job.state == "completed")


# -- with machines --------------------------------------------------------------------------------


def test_a_lost_job_is_run_again_once_its_run_has_ended(cloud):
    cloud.hurry = 60
    job = cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=300, run_id=RUN)
    other = cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=8, run_id=RUN)
    lose(cloud, job)
    assert other.state == "in_progress"
    assert until(lambda: other.state == "completed")
    again = next_attempt(cloud, job)
    assert len(again) == 2
    fresh = next(
        one for one in again if one.conclusion != "success" or one.runners != other.runners
    )
    all_done(cloud, [job, other, fresh])
    assert fresh.conclusion == "success"
    assert asked(cloud) == [FAILED_JOBS]
    assert max(one.attempt for one in cloud.github.jobs.all) == 2  # of several messages
    (note,) = [note for note in told(cloud) if note["title"].endswith("are run again")]
    assert note["url"] == f"https://github.com/{REPOSITORY}/actions/runs/{RUN}"
    assert note["severity"] == "info"


def test_several_lost_jobs_of_a_run_and_those_that_were_cancelled_with_them_run_again(cloud):
    cloud.hurry = 60
    jobs = [
        cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=300, run_id=RUN) for _ in range(3)
    ]
    lose(cloud, jobs[0])
    lose(cloud, jobs[1])
    jobs[2].run_seconds = 0.2
    cloud.github.cancel_job(jobs[2])  # fail-fast
    assert until(lambda: jobs[2].state == "completed")
    again = next_attempt(cloud, jobs[0])
    all_done(cloud, [*jobs, *again])
    assert [one.conclusion for one in again] == ["success"] * 3
    assert asked(cloud) == [FAILED_JOBS]


def test_the_next_attempt_is_launched_on_demand_where_the_spec_says_so(cloud):
    cloud.hurry = 60
    configure(cloud, on_demand_fallback=True, rerun="on-demand")
    job = cloud.github.queue_job(REPOSITORY, LABELS, run_seconds=300)
    lose(cloud, job)
    (again,) = next_attempt(cloud, job)
    all_done(cloud, [job, again])
    assert again.conclusion == "success"
    assert [market for _, _, market in offers(cloud)] == ["spot", "on-demand"]


# -- one message ----------------------------------------------------------------------------------


def look(stage, *messages, **options):
    return failures(stage.invoke("watch", batch(stage, "WatchQueue", *messages, **options)))


def sent_again(stage):
    return [one["Body"] for one in sent(stage, "WatchQueue") if one["Body"]["action"] == "lost"]


def test_a_doubled_message_runs_a_job_again_once(stage):
    job = ended(stage, "failure", "i-0000000000000aaaa")
    assert look(stage, lost(job), lost(job)) == []
    assert look(stage, lost(job)) == []
    assert asked(stage, 201, 403) == [FAILED_JOBS]
    assert len(told(stage)) == 1
    assert stage.github.violations == []


def test_a_job_that_ended_well_in_time_is_not_run_again(stage):
    job = ended(stage, "success", "i-0000000000000aaaa")
    ended(stage, "failure", "other", result="failure")
    assert look(stage, lost(job)) == []
    assert asked(stage, 201, 403) == []
    assert told(stage) == []


def test_beside_a_real_failure_one_lost_job_is_run_again_and_several_are_not(stage):
    first = ended(stage, "failure", "i-0000000000000aaaa")
    ended(stage, "failure", "other", result="failure")
    assert look(stage, lost(first)) == []
    assert asked(stage) == [ONE_JOB]
    stage.github.jobs.all.clear()
    first = ended(stage, "failure", "i-0000000000000aaaa")
    second = ended(stage, "cancelled", "i-0000000000000bbbb")
    ended(stage, "failure", "other", result="failure")
    assert look(stage, lost(first, machines="/i-0000000000000aaaa/i-0000000000000bbbb/")) == []
    assert asked(stage, 201, 403) == [ONE_JOB]
    note = told(stage)[-1]
    assert note["title"].endswith("are not run again")
    assert "several jobs were lost" in note["facts"]["Reason"]
    assert note["facts"]["Jobs"].count(second.name) == 2


def test_a_run_that_goes_on_is_looked_at_later(stage):
    job = ended(stage, "failure", "i-0000000000000aaaa")
    other = stage.github.queue_job(REPOSITORY, LABELS, announce=False, run_id=RUN)
    assert look(stage, lost(job)) == []
    assert [body["watches"] for body in sent_again(stage)] == [1]
    other.state, other.conclusion = "completed", "success"
    assert look(stage, sent_again(stage)[0]) == []
    assert asked(stage, 201, 403) == [FAILED_JOBS]


NOT_AGAIN = {
    "never": ("rerun", '"rerun": "never"'),
    "newer": ("newer", "there is a newer run"),
    "limit": ("attempt", "max_reruns"),
    "permission": ("permission", "Actions: read and write"),
    "refused": ("refused", "This workflow run cannot be retried"),
}


@pytest.mark.parametrize("reason", sorted(NOT_AGAIN))
def test_people_are_told_why_a_job_is_not_run_again(stage, reason):
    what, text = NOT_AGAIN[reason]
    job = ended(stage, "failure", "i-0000000000000aaaa", attempt=2 if what == "attempt" else 1)
    if what == "rerun":
        configure(stage, rerun="never")
    elif what == "newer":
        stage.github.queue_job(REPOSITORY, LABELS, announce=False, branch=job.branch)
    elif what == "permission":
        installation = stage.github.doorman.installations[4711]
        installation.permissions = PERMISSIONS | {"actions": "read"}
    elif what == "refused":
        fault = Error("", 403, "This workflow run cannot be retried")
        stage.faults.add("github", "actions/re-run-*", fault=fault)
    assert look(stage, lost(job)) == []
    assert asked(stage) == []
    (note,) = told(stage)
    assert note["title"] == "Lost jobs of CI #1 are not run again"
    assert text in note["facts"]["Reason"]
    assert note["url"].endswith(f"/actions/runs/{RUN}")
    assert sent_again(stage) == []


def test_a_run_that_somebody_runs_again_in_this_moment_is_read_again(stage):
    job = ended(stage, "failure", "i-0000000000000aaaa")
    fault = Error("", 403, "This workflow is already running")
    rule = stage.faults.add("github", "actions/re-run-*", fault=fault)
    assert look(stage, lost(job)) == []
    stage.faults.remove(rule)
    stage.github.jobs.rerun(job)
    assert look(stage, sent_again(stage)[0]) == []
    assert asked(stage) == []
    assert told(stage) == []
    assert "has another attempt already" in str(log(stage, "watch"))


def test_a_handler_that_is_killed_after_github_did_it_does_it_no_more(stage):
    job = ended(stage, "failure", "i-0000000000000aaaa")
    host = stage.hosts[stage.functions["watch"].name]

    def kill():
        for pid in host.pids:
            os.kill(pid, signal.SIGKILL)

    stage.faults.add("github", "actions/re-run-*", times=1, fault=Kill(kill, before=False))
    with contextlib.suppress(FunctionError):
        look(stage, lost(job))
    assert look(stage, lost(job), receives=2) == []
    assert asked(stage, 201, 403, 0) == [FAILED_JOBS]
    assert max(one.attempt for one in stage.github.jobs.all) == 2
