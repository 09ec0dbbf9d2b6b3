# SPDX-License-Identifier: MIT
"""Machines, with small scripts in place of the agent."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from cloud.faults import Cut, Error, Event, Faults, Latency
from cloud.limits import PATIENCE, until
from cloud.machines.fleet import Machines
from cloud.machines.machine import DIED, SHUT_DOWN, SPOT_TAKEN, TERMINATED
from cloud.machines.processes import is_running

ID = "i-0123456789abcdef0"
OTHER = "i-0123456789abcdef1"
PRELUDE = """
import json, os, signal, socket, subprocess, sys, time, urllib.request
def notify(text):
    path = os.environ["NOTIFY_SOCKET"].replace("@", chr(0))
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text.encode(), path)
def shut_down():
    subprocess.run(["shutdown", "-h", "now"], check=True)
"""


class Ec2:
    """Describes whatever instance it is asked for."""

    def describe_instances(self, InstanceIds):
        def instance(name):
            return {
                "InstanceId": name,
                "InstanceType": "m7i.large",
                "Placement": {"AvailabilityZone": "eu-central-1a"},
                "ImageId": "ami-1",
                "SubnetId": "subnet-a",
                "Tags": [{"Key": "scale-agent:spec", "Value": "linux-x64"}],
            }

        return {"Reservations": [{"Instances": [instance(name) for name in InstanceIds]}]}


class FakeCloud:
    region, account, aws_url = "eu-central-1", "123456789012", "http://127.0.0.1:1"

    def __init__(self, directory: Path):
        self.directory = self.programs = directory
        self.environment = {"MARK": "machine"}
        self.faults = Faults()
        self.ended: list[tuple[str, str]] = []
        self.events: list[tuple[str, str, dict]] = []
        self.assumed: list[str] = []

    def client(self, service):
        return Ec2()

    def assume(self, role, session):
        self.assumed.append(f"{role}/{session}")
        end = datetime.now(timezone.utc) + timedelta(hours=1)
        return {"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T", "Expiration": end}

    def instance_ended(self, instance_id, reason):
        self.ended.append((instance_id, reason))

    def log(self, who, line):
        raise AssertionError(f"{who}: {line}")

    def put_event(self, source, detail_type, detail):
        self.events.append((source, detail_type, detail))


@pytest.fixture
def world(tmp_path):
    cloud = FakeCloud(tmp_path)
    machines = Machines(cloud)
    machines.setup.boot_seconds = 0.0
    machines.setup.starter = None  # these agents start no runner
    yield SimpleNamespace(cloud=cloud, machines=machines, path=tmp_path)
    cloud.faults.stopped.set()
    machines.stop()


def launch(world, agent, instance=ID, **request):
    script = world.path / "agent.py"
    script.write_text(PRELUDE + agent)
    world.machines.setup.agent = [sys.executable, str(script)]
    world.machines.launched([instance], request)
    assert world.machines.wait(lambda: instance in world.machines.all)
    return world.machines.all[instance]


def stages(machine):
    return [moment.stage for moment in machine.moments]


def assert_reaches(machine, stage):
    assert until(lambda: stage in stages(machine)), stages(machine)


def get(machine, path, token=None, method="GET", **headers):
    if token:
        headers["X-aws-ec2-metadata-token"] = token
    request = urllib.request.Request(machine.metadata.url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def token_of(machine):
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    return get(machine, "/latest/api/token", method="PUT", **headers)[1]


def test_shutdown_ends_the_machine(world):
    machine = launch(world, "notify('READY=1\\nSTATUS=Receiving'); shut_down(); time.sleep(60)")
    assert machine.off.wait(PATIENCE)
    assert stages(machine) == ["on", "agent", "ready", "status", "shutdown", "off"]
    assert world.machines.wait(lambda: world.cloud.ended == [(ID, SHUT_DOWN)])
    assert world.machines.left() == []


def test_agent_has_the_environment_of_a_machine(world):
    machine = launch(world, "print(json.dumps(dict(os.environ)), flush=True); shut_down()")
    assert machine.off.wait(PATIENCE)
    environment = json.loads((machine.directory / "agent.log").read_text())
    assert environment["PATH"].startswith(str(machine.directory / "bin"))
    assert environment["MARK"] == "machine"
    assert not [name for name in environment if name.startswith("AWS_") and "KEY" in name]


@pytest.mark.parametrize(
    ("ending", "words"),
    [("sys.exit(3)", "exit code 3"), ("os.kill(os.getpid(), 11)", "killed by SIGSEGV")],
)
def test_failed_agent_powers_the_machine_off(world, ending, words):
    machine = launch(world, ending)
    assert machine.off.wait(PATIENCE)
    assert "FailureAction=poweroff" in machine.reason
    assert words in machine.reason


def test_agent_that_forgets_to_shut_down_leaves_a_machine(world):
    machine = launch(world, "sys.exit(0)")
    assert_reaches(machine, "still on")
    assert world.machines.left() == [f"machine {ID} is still on (still on)"]
    assert world.cloud.ended == []


def test_shutdown_that_comes_after_the_agents_end_counts(world):
    machine = launch(world, "subprocess.Popen('sleep 0.3; shutdown -h now', shell=True)")
    assert machine.off.wait(PATIENCE)
    assert machine.reason == SHUT_DOWN


def test_missed_watchdog_powers_the_machine_off(world):
    world.machines.setup.watchdog_seconds = 0.3
    agent = "notify('READY=1\\nWATCHDOG=1'); time.sleep(60)"
    machine = launch(world, agent)
    assert machine.off.wait(PATIENCE)
    assert machine.pings == 1
    assert "watchdog" in machine.reason


def test_end_takes_every_process_along(world):
    child = "signal.signal(15, 1); os.setpgid(0, 0); print(os.getpid(), flush=True)"
    agent = f"if os.fork() == 0: {child}; notify('READY=1')"
    machine = launch(world, f"{agent}\ntime.sleep(60)")
    assert_reaches(machine, "ready")
    world.machines.kill(ID)
    assert machine.off.wait(PATIENCE)
    assert machine.reason == DIED
    pid = int((machine.directory / "agent.log").read_text())
    assert not is_running(pid)


def test_terminated_machine_is_not_reported_back(world):
    machine = launch(world, "notify('READY=1'); time.sleep(60)")
    assert_reaches(machine, "ready")
    world.machines.terminated(ID)
    assert machine.off.wait(PATIENCE)
    assert machine.reason == TERMINATED
    assert world.cloud.ended == []


def test_metadata_wants_a_token(world):
    machine = launch(world, "time.sleep(60)", **{"MetadataOptions.InstanceMetadataTags": "enabled"})
    assert get(machine, "/latest/meta-data/instance-id")[0] == 401
    assert get(machine, "/latest/api/token", method="PUT")[0] == 400
    token = token_of(machine)
    document = json.loads(get(machine, "/latest/dynamic/instance-identity/document", token)[1])
    assert document["instanceId"] == ID
    assert document["availabilityZone"] == "eu-central-1a"
    assert get(machine, "/latest/meta-data/tags/instance/scale-agent:spec", token)[1] == "linux-x64"
    role = get(machine, "/latest/meta-data/iam/security-credentials/", token)[1]
    path = f"/latest/meta-data/iam/security-credentials/{role}"
    assert json.loads(get(machine, path, token)[1])["AccessKeyId"] == "A"
    assert get(machine, path, token)[0] == 200
    assert world.cloud.assumed == [f"RunnerRole/{ID}"]
    assert get(machine, "/latest/meta-data/spot/instance-action", token)[0] == 404


def test_metadata_can_be_walked_through_as_cloud_init_does(world):
    machine = launch(world, "time.sleep(60)", **{"MetadataOptions.InstanceMetadataTags": "enabled"})
    token = token_of(machine)
    assert "2021-03-23" in get(machine, "/", token)[1].splitlines()
    top = get(machine, "/2021-03-23/meta-data/", token)[1].splitlines()
    assert {"instance-id", "network/", "placement/", "tags/"} <= set(top)
    assert get(machine, "/2021-03-23/meta-data/tags/", token)[1] == "instance/"
    assert "scale-agent:spec" in get(machine, "/latest/meta-data/tags/instance", token)[1]
    assert get(machine, "/2021-03-23/dynamic/instance-identity", token)[1] == "document"
    assert get(machine, "/latest/meta-data/spot/", token)[0] == 404
    assert get(machine, "/1999-01-01/meta-data/", token)[0] == 404
    assert get(machine, "/latest/user-data", token)[0] == 404
    machine.facts.user_data = "#!/bin/sh\n"
    assert get(machine, "/latest/user-data", token)[1] == "#!/bin/sh\n"


def test_repeated_launch_of_the_same_instance_boots_it_once(world):
    machine = launch(world, "notify('READY=1'); time.sleep(60)")
    assert_reaches(machine, "ready")
    world.machines.launched([ID, OTHER], {})
    assert world.machines.wait(lambda: OTHER in world.machines.all)
    assert_reaches(world.machines.all[OTHER], "ready")
    assert world.machines.all[ID] is machine
    assert stages(machine).count("on") == 1


def test_an_instance_that_is_terminated_at_once_does_not_boot(world):
    world.machines.terminated(ID)
    world.machines.launched([ID], {})
    assert until(lambda: world.machines.busy() == [])
    assert world.machines.all == {}


def test_tags_are_hidden_unless_asked_for(world):
    machine = launch(world, "time.sleep(60)")
    assert get(machine, "/latest/meta-data/tags/instance/", token_of(machine))[0] == 404


def test_spot_notice_comes_first_and_the_end_in_time(world):
    machine = launch(world, "notify('READY=1'); time.sleep(60)")
    assert_reaches(machine, "ready")
    token = token_of(machine)
    world.machines.interrupt(ID, in_seconds=600)
    notice = json.loads(get(machine, "/latest/meta-data/spot/instance-action", token)[1])
    assert notice["action"] == "terminate"
    assert world.cloud.events[0][1] == "EC2 Spot Instance Interruption Warning"
    assert world.cloud.events[0][2]["instance-id"] == ID
    world.machines.interrupt(ID, in_seconds=0.5)
    assert machine.off.wait(PATIENCE)
    assert machine.reason == SPOT_TAKEN
    times = {moment.stage: moment.at for moment in machine.moments}
    assert times["off"] - times["spot notice"] >= 0.5


def test_faults_of_machines_and_their_metadata(world):
    world.cloud.faults.add("machine", "boot", fault=Latency(0.1))
    world.cloud.faults.add("imds", "*/token", times=1, fault=Cut())
    world.cloud.faults.add("imds", "*/token", times=1, fault=Error("x", 500))
    machine = launch(world, "notify('READY=1'); time.sleep(60)")
    with pytest.raises(OSError):
        token_of(machine)
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    assert get(machine, "/latest/api/token", method="PUT", **headers)[0] == 500
    world.cloud.faults.add("machine", "die", fault=Event(0.5))
    other = launch(world, "notify('READY=1'); time.sleep(60)", OTHER)
    assert other.off.wait(PATIENCE)
    assert other.reason == DIED


def test_machine_that_never_comes_up(world):
    world.cloud.faults.add("machine", "boot", fault=Error("x"))
    machine = launch(world, "sys.exit(0)")
    assert machine.off.wait(PATIENCE)
    assert machine.agent is None
