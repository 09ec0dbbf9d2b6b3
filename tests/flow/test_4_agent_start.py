# SPDX-License-Identifier: MIT
"""4. The agent at its start: its arguments, who the machine is, and what it is to do."""

from __future__ import annotations

import json
import os
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from floor import ENDS, LISTENS, STARTS, assert_ended_well, assert_failed
from helpers import LABELS, REPOSITORY

from cloud.cloud import Cloud
from cloud.faults import Body, Cut, Error, Throttle
from cloud.limits import PATIENCE, until

# -- who the machine is -----------------------------------------------------------------------


def agent_alone(cloud: Cloud, folder: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """Run the agent as on a person's own machine, where `shutdown` leaves a mark."""
    (folder / "bin").mkdir()
    shutdown = folder / "bin" / "shutdown"
    shutdown.write_text(f"#!/bin/sh\ntouch {folder}/was-shut-down\n")
    shutdown.chmod(0o755)
    config = folder / "config.json"
    config.write_text(json.dumps({"identify_limit_seconds": 1}))
    return subprocess.run(
        [str(cloud.programs / "runner-agent"), "--config", str(config)],
        env={
            "PATH": f"{folder}/bin:/usr/bin:/bin",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint,
            **cloud.environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_machine_that_is_not_on_ec2_is_left_alone(stage, tmp_path):
    done = agent_alone(stage, tmp_path, "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "not an EC2 instance" in done.stderr
    assert not (tmp_path / "was-shut-down").exists()


def test_a_web_server_is_no_metadata_service(stage, tmp_path):
    done = agent_alone(stage, tmp_path, stage.webhook_url)
    assert done.returncode == 2
    assert not (tmp_path / "was-shut-down").exists()


def test_metadata_that_comes_late_is_waited_for(floor):
    floor.cloud.faults.add("imds", "*", times=2, fault=Cut())
    floor.cloud.faults.add("imds", "*", times=1, fault=Error("x", 500))
    floor.cloud.faults.add("imds", "*/document", times=1, fault=Body(b"{}"))
    floor.cloud.faults.add("imds", "*/RunnerRole", times=1, fault=Body(b"<xml/>"))
    floor.script(LISTENS, STARTS, ENDS).put().run()
    floor.report("ready", "job_started", "finished")
    assert_ended_well(floor)


def test_a_machine_without_a_role_goes(floor):
    floor.cloud.faults.add("imds", "*/security-credentials*", fault=Error("x", 404))
    # so long that the identity is read for certain: without it, systemd would power off instead
    floor.configure(identify_limit_seconds=8).put().run()
    assert "shutdown" in floor.stages()
    assert "instance profile" in floor.text()


# -- the hand-over ----------------------------------------------------------------------------


def test_a_late_parameter_is_waited_for(floor):
    floor.cloud.github.queue_job(REPOSITORY, LABELS)

    def refused():
        return [call for call in floor.cloud.calls.of("ssm", "GetParameter") if call.error]

    floor.switch_on()
    assert until(lambda: len(refused()) >= 4)
    assert "ready" in floor.stages(), "the rest of the boot does not wait for a hand-over"
    floor.put().ended()
    floor.report("ready", "job_started", "finished")
    times = [call.time for call in refused()]
    assert len([at for at in times if at - times[0] < 1.5]) <= 16
    assert_ended_well(floor)


def test_without_a_parameter_the_machine_goes(floor):
    floor.configure(parameter_limit_seconds=2).run()
    assert_failed(floor, floor.name, "within 2 s")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("garbage", "not JSON"),
        ("[]", "an object is needed"),
        ('{"version": 2}', "version: 1 is needed, found 2"),
        ("x" * 8000, "not JSON"),
        ("[" * 3000, "nested deeper"),
    ],
)
def test_a_garbled_parameter_is_told_and_left_as_evidence(floor, value, words):
    floor.put(value).run()
    assert_failed(floor, "the hand-over", words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"job": None}, "job: an object is needed, found nothing"),
        ({"jit_config": "not base64!"}, "jit_config: base64 is needed"),
    ],
)
def test_a_handover_that_is_not_complete_is_refused(floor, changes, words):
    floor.put(**changes).run()
    assert_failed(floor, words)


def test_ssm_that_answers_garbage_is_asked_again(floor):
    floor.cloud.faults.add("ssm", "GetParameter", times=1, fault=Body(b"<html>"))
    floor.cloud.faults.add("ssm", "GetParameter", times=1, fault=Cut())
    floor.cloud.faults.add("ssm", "GetParameter", times=2, fault=Throttle())
    floor.script(LISTENS, STARTS, ENDS).put().run()
    floor.report("ready", "job_started", "finished")


# -- the command line -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('{"prefix": "x"}', "prefix: an SSM path such as /scale-agent (at most 200"),
        ('{"runner": {"comand": []}}', "runner.comand: there is no such setting"),
        ('{"runner": {"command": ["run"]}}', "runner.command: a list of texts"),
        ('{"idle_limit_seconds": 0}', "idle_limit_seconds: a whole number from 1 to"),
        ('{"job_limit_seconds": "9"}', 'is needed, found "9"'),
        ("{", "not JSON"),
    ],
)
def test_a_wrong_configuration_is_told_in_full(stage, tmp_path, config, words):
    (tmp_path / "config.json").write_text(config)
    done = command(stage, "--config", str(tmp_path / "config.json"))
    assert done.returncode == 2
    assert words in done.stderr


def command(cloud: Cloud, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the agent with arguments that end it at once."""
    program = str(cloud.programs / "runner-agent")
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=cloud.environment,
    )


def test_the_command_line(stage):
    assert command(stage, "--help").stdout.startswith("Usage: runner-agent")
    assert command(stage, "--version").stdout.startswith("runner-agent ")
    assert command(stage, "--frobnicate").returncode == 2
    done = command(stage, "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'unexpected argument "run"' in done.stderr
    assert command(stage, "--config", "/nowhere.json").returncode == 2


# -- the clock --------------------------------------------------------------------------------


@pytest.fixture
def another_time(monkeypatch, floor):
    """The metadata service lives in 2031, and the agent cannot follow it there."""
    date = "Wed, 01 Jan 2031 00:00:00 GMT"
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: date)
    if os.geteuid() == 0:
        floor.machines.setup.agent[:0] = ["setpriv", "--bounding-set=-sys_time"]


def test_a_clock_that_cannot_be_set_is_no_reason_to_give_up(floor, another_time):
    floor.script(LISTENS, STARTS, ENDS).put().run()
    floor.report("ready", "job_started", "finished")
    assert "and is 2031-01-01T00:00:00.500Z) and not set: Operation not permitted" in floor.text()


def test_a_clock_that_is_wrong_explains_what_fails(floor, another_time):
    floor.configure(parameter_limit_seconds=1).run()
    assert_failed(floor, "the clock is wrong (it says ", "no hand-over in SSM parameter")
