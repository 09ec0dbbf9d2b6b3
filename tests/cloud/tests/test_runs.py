# SPDX-License-Identifier: MIT
"""Runs at GitHub's stand-in: what it says of them, and how it runs them again."""

from __future__ import annotations

import json

import pytest

from cloud.github.runs import WORKFLOW
from cloud.github.tokens import PERMISSIONS
from cloud.tests.github_client import LABELS, Client, World

ACTIONS = "/repos/octo-org/one/actions"
RUN = f"{ACTIONS}/runs/7"


@pytest.fixture
def world(tmp_path):
    with World(tmp_path).running() as running:
        yield running


def job(world, conclusion=None):
    queued = world.github.queue_job("octo-org/one", LABELS, run_id=7)
    if conclusion:
        queued.state, queued.conclusion = "completed", conclusion
        queued.started = queued.completed = queued.created
    return queued


def jobs_of(world, attempt):
    answer = world.call("GET", f"{RUN}/attempts/{attempt}/jobs?per_page=100")
    return [(one["id"], one["status"], one["conclusion"]) for one in answer.document["jobs"]]


def test_a_complete_run_is_run_again_as_its_next_attempt(world):
    good, bad = job(world, "success"), job(world, "failure")
    assert world.call("GET", RUN).document["status"] == "completed"
    answer = world.call("POST", f"{RUN}/rerun-failed-jobs")
    assert (answer.status, answer.document) == (201, {})
    run = world.call("GET", RUN).document
    assert (run["status"], run["run_attempt"], run["run_number"]) == ("in_progress", 2, 1)
    assert [one[1:] for one in jobs_of(world, 1)] == [
        ("completed", "success"),
        ("completed", "failure"),
    ]
    carried, fresh = jobs_of(world, 2)
    assert (carried[1:], fresh[1:]) == (("completed", "success"), ("queued", None))
    assert not {carried[0], fresh[0]} & {good.id, bad.id}
    assert world.github.webhooks.wait()
    bodies = [json.loads(request.body)["workflow_job"] for request in world.received]
    assert (2, fresh[0]) in [(body["run_attempt"], body["id"]) for body in bodies]
    assert world.github.violations == []


def test_what_is_under_way_or_old_is_refused(world):
    bad = job(world, "failure")
    other = job(world)
    rerun = f"{ACTIONS}/jobs/{bad.id}/rerun"
    active = world.call("POST", f"{RUN}/rerun-failed-jobs")
    assert (active.status, active.document["message"]) == (403, "This workflow is already running")
    assert "containing this job is already running" in world.call("POST", rerun).document["message"]
    other.state, other.conclusion = "completed", "failure"
    assert world.call("POST", rerun).status == 201
    again = world.github.jobs.all[-2:]
    for one in again:
        one.state, one.conclusion = "completed", "success"
    assert "current attempt" in world.call("POST", rerun).document["message"]
    retried = world.call("POST", f"{RUN}/rerun-failed-jobs")
    assert (retried.status, retried.document["message"][-17:]) == (403, "cannot be retried")


def test_running_again_needs_a_permission(world):
    job(world, "failure")
    world.github.doorman.add_personal("reader", PERMISSIONS | {"actions": "read"})
    reader = Client(world.github, "reader")
    assert reader("GET", RUN).status == 200
    refused = reader("POST", f"{RUN}/rerun-failed-jobs")
    assert refused.status == 403
    assert refused.document["message"].startswith("Resource not accessible by")


def test_the_newest_run_of_a_branch_comes_first(world):
    for branch in ("main", "other", "main"):
        world.github.queue_job("octo-org/one", LABELS, branch=branch)
    answer = world.call("GET", f"{ACTIONS}/workflows/{WORKFLOW}/runs?branch=main&per_page=30")
    assert [run["run_number"] for run in answer.document["workflow_runs"]] == [3, 1]
    assert world.github.violations == []
