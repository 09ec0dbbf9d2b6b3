# SPDX-License-Identifier: MIT
"""Jobs at GitHub's stand-in, and the stand-in runner that takes them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from cloud.limits import PATIENCE, until
from cloud.tests.github_client import BODY, LABELS, RUNNERS, World, ended, start_runner


def announced(world: World) -> dict[str, dict[str, Any]]:
    """What was sent of the one job, by its status; deliveries overtake each other."""
    assert world.github.webhooks.wait()
    bodies = [json.loads(request.body)["workflow_job"] for request in world.received]
    assert len({body["status"] for body in bodies}) == len(bodies)
    return {body["status"]: body for body in bodies}


@pytest.fixture
def world(tmp_path):
    with World(tmp_path).running() as running:
        yield running


def test_job_is_announced_run_and_forgotten(world):
    job = world.github.queue_job(
        "octo-org/one", ["Self-Hosted", "x64"], name="build", run_seconds=0
    )
    code, output = ended(start_runner(world.register()))
    assert code == 0
    lines = output.splitlines()
    assert lines[:4] == ["", "√ Connected to GitHub", "", "Current runner version: '2.336.0'"]
    assert [line[22:] for line in lines[4:]] == [
        "Listening for Jobs",
        "Running job: build",
        "Job build completed with result: Succeeded",
    ]
    bodies = announced(world)
    assert set(bodies) == {"completed", "in_progress", "queued"}
    done = bodies["completed"]
    assert (done["conclusion"], done["runner_name"]) == ("success", BODY["name"])
    assert job.runners == [BODY["name"]]
    assert world.github.left() == []
    assert world.github.violations == []


def test_busy_runner_cannot_be_deleted(world):
    job = world.github.queue_job("octo-org/one", LABELS, behaviour="hang")
    process = start_runner(world.register())
    assert world.github.wait(lambda: job.state == "in_progress")
    refused = world.call("DELETE", f"{RUNNERS}/{job.runner_id}")
    assert refused.status == 422
    assert "currently running a job" in refused.document["message"]
    process.send_signal(signal.SIGINT)
    code, output = ended(process)
    assert code == 0
    assert "Exiting..." in output
    assert "completed with result: Canceled" in output
    assert job.conclusion == "cancelled"


def test_deleted_idle_runner_ends(world):
    process = start_runner(world.register())
    runner = next(iter(world.github.registry.runners.values()))
    assert world.github.wait(lambda: runner.listening)
    assert world.call("DELETE", f"{RUNNERS}/{runner.id}").status == 204
    code, output = ended(process)
    assert code == 1
    assert "registration has been deleted" in output


def test_idle_runner_ends_on_a_signal_and_stays_registered(world):
    process = start_runner(world.register())
    runner = next(iter(world.github.registry.runners.values()))
    assert world.github.wait(lambda: runner.listening)
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 0
    assert world.github.wait(lambda: not runner.online)
    assert world.github.left() == [f"runner {BODY['name']} (repos/octo-org/one, offline)"]


def test_configuration_is_good_for_one_runner(world):
    configuration = world.register()
    first = start_runner(configuration)
    runner = next(iter(world.github.registry.runners.values()))
    assert world.github.wait(lambda: runner.listening)
    code, output = ended(start_runner(configuration))
    assert code == 5
    assert "A session for this runner already exists." in output
    world.github.queue_job("octo-org/one", LABELS)
    assert ended(first)[0] == 0
    assert ended(start_runner(configuration))[0] == 1
    assert ended(start_runner("bm9uc2Vuc2U="))[0] == 1
    code, output = ended(start_runner(configuration, "run", "--jitconfig", configuration))
    assert code == 1
    assert "can be read by every user" in output


def test_oldest_job_that_fits_is_taken_first(world):
    other = world.github.queue_job("octo-org/one", [*LABELS, "gpu"])
    first = world.github.queue_job("octo-org/one", LABELS)
    second = world.github.queue_job("octo-org/one", LABELS)
    world.github.queue_job("octo-org/two", LABELS)
    assert ended(start_runner(world.register()))[0] == 0
    assert (other.state, first.state, second.state) == ("queued", "completed", "queued")


def test_cancelled_job_has_no_runner(world):
    job = world.github.queue_job("octo-org/one", LABELS)
    world.github.cancel_job(job)
    body = announced(world)["completed"]
    assert (job.conclusion, body["runner_id"], body["runner_name"]) == ("cancelled", 0, "")
    assert body["steps"] == []
    assert world.github.violations == []


def test_running_job_is_cancelled_through_its_runner(world):
    job = world.github.queue_job("octo-org/one", LABELS, run_seconds=30)
    process = start_runner(world.register())
    assert world.github.wait(lambda: job.state == "in_progress")
    world.github.cancel_job(job)
    assert "result: Canceled" in ended(process)[1]
    assert job.conclusion == "cancelled"


def test_job_of_a_lost_runner_fails_after_a_while(world):
    world.github.jobs.lost_seconds = 0.3
    job = world.github.queue_job("octo-org/one", LABELS, behaviour="hang")
    process = start_runner(world.register())
    assert world.github.wait(lambda: job.state == "in_progress")
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert world.github.wait(lambda: job.state == "completed")
    assert job.conclusion == "failure"


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        ("deprecated", 1, "is deprecated and cannot receive messages"),
        ("exit-at-start", 1, "Connected to GitHub"),
        ("crash-at-start", -signal.SIGABRT, "Connected to GitHub"),
        ("noise", 0, "Job build completed with result: Succeeded"),
    ],
)
def test_runner_that_starts_badly(world, behaviour, code, words):
    world.github.broker.behave(behaviour)
    world.github.queue_job("octo-org/one", LABELS)
    returned, output = ended(start_runner(world.register()))
    assert returned == code
    assert words in output


def test_runner_tells_that_its_version_is_refused_when_it_is_asked_to(world):
    world.github.broker.behave("deprecated")
    name = "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE"
    assert ended(start_runner(world.register(), **{name: "1"}))[0] == 7


@pytest.mark.parametrize("behaviour", ["crash", "exit"])
def test_runner_that_ends_in_the_middle_of_its_job(world, behaviour):
    world.github.jobs.lost_seconds = 0.1
    job = world.github.queue_job("octo-org/one", LABELS, behaviour=behaviour)
    assert ended(start_runner(world.register()))[0] != 0
    assert world.github.wait(lambda: job.state == "completed")
    assert job.conclusion == "failure"


def test_runner_that_ignores_signals(world):
    job = world.github.queue_job("octo-org/one", LABELS, behaviour="ignore-signals")
    process = start_runner(world.register())
    assert world.github.wait(lambda: job.state == "in_progress")
    status = Path(f"/proc/{process.pid}/status")
    ignored = 1 << signal.SIGINT - 1 | 1 << signal.SIGTERM - 1
    assert until(lambda: int(field(status, "SigIgn"), 16) & ignored == ignored)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert int(field(status, "SigPnd"), 16) | int(field(status, "ShdPnd"), 16) == 0  # dropped
    assert process.poll() is None
    process.kill()
    process.communicate(timeout=PATIENCE)


def field(status, name):
    """Read a line of /proc/PID/status."""
    lines = status.read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{name}:"))
