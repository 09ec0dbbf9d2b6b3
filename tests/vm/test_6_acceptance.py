# SPDX-License-Identifier: MIT
"""A job on a machine of PROFILE=hosted does what popular actions do to a machine.

Each file of acceptance/ is a step: what some actions do. What they need of the outside is on the
loopback of this machine, behind a company's proxy and under its authority. Steps on Docker run
beside the others. The images of containers that actions bring (BuildKit, QEMU) cannot be had here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud.cloud import Cloud
from cloud.github.stand_in import GitHub

from .gate import Gate, make_context
from .machines import AWS_ADDRESS, AWS_NAMES, HOSTED, HostedMachines
from .outside import NAMES, Outside
from .proxy import Proxy
from .stand import LONG_JOB_PATIENCE, Stand

STEPS = {path.stem: path for path in sorted((Path(__file__).parent / "acceptance").glob("*.sh"))}
PROXY_ADDRESS = "169.254.169.22:3128"  # as tests/vm/image bakes it

# A step as the runner starts it; what it printed is shown when it fails.
BEGIN = """
export CI=true GITHUB_ACTIONS=true GITHUB_WORKSPACE=/home/runner/work/one/one
export RUNNER_TEMP=/home/runner/work/_temp
mkdir -p $GITHUB_WORKSPACE $RUNNER_TEMP
cd $GITHUB_WORKSPACE
step() {
  local status=0 began=$SECONDS
  timeout $STEP_SECONDS bash --noprofile --norc -eo pipefail -c "$2" \\
    >$RUNNER_TEMP/$1.log 2>&1 </dev/null ||
    status=$?
  echo "== $1: status $status after $((SECONDS - began)) s"
  if [ $status -ne 0 ]; then tail -c 2000 $RUNNER_TEMP/$1.log; fi
}
"""
END = """
wait
cat $RUNNER_TEMP/lane-*
touch /tmp/job-ended
"""


def make_script() -> str:
    """Write the job: two lanes of steps beside each other."""
    script = f"STEP_SECONDS={LONG_JOB_PATIENCE // 2:.0f}\n{BEGIN}"
    for lane in (True, False):
        script += "{\n"
        for name, path in STEPS.items():
            if name.startswith("docker") == lane:
                script += f"step {name} {shlex.quote(path.read_text())}\n"
        script += f"}} >$RUNNER_TEMP/lane-{lane} 2>&1 &\n"
    return script + END


@dataclass
class Ran:
    """What the job left.

    volume          the content of a volume of EBS
    asked           host and path of each page, as the hosts outside saw them
    asked_of_proxy  method and place
    """

    output: str
    volume: bytes
    asked: list[str]
    asked_of_proxy: list[str]
    stages: list[str]

    def step(self, name: str) -> tuple[int, str]:
        """Give a step's status, and what it printed."""
        found = re.search(rf"^== {name}: status (\d+) .*\n((?:(?!== ).*\n)*)", self.output, re.M)
        assert found, f"{name} did not end; the job printed:\n{self.output}"
        return int(found[1]), found[2]


@pytest.fixture(scope="module")
def ran(local_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Run the job once for all tests."""
    assert HOSTED.exists(), f"{HOSTED} is missing; `tests/vm/image hosted` makes it"
    outside = Outside(tmp_path_factory.mktemp("vm") / "outside", HOSTED / "busybox")
    gate = Gate(make_context(HOSTED, NAMES), outside.port)
    local_cloud.reset(make_github=GitHub, make_machines=HostedMachines)
    setup = local_cloud.machines.setup
    ways = dict(setup.ways)
    places = dict.fromkeys((f"{name}:443" for name in AWS_NAMES), ways.pop(AWS_ADDRESS))
    proxy = Proxy(places | {f"{name}:443": gate.port for name in NAMES})
    stand = Stand(local_cloud).set_up(
        ways=ways | {PROXY_ADDRESS: proxy.port},
        disks={"AWS1": 4096, "vol1": 64},
        append=f"{setup.append} instance-store=1 mitigations=off",
        is_whole=True,
        memory=3072,
    )
    try:
        stand.queue(script=make_script()).ends("success", LONG_JOB_PATIENCE)
        volume = (stand.machine.directory / "vol1.raw").read_bytes()
        yield Ran(stand.job.output, volume, outside.asked, proxy.asked, stand.stages())
    finally:
        local_cloud.machines.stop()
        for server in (proxy, gate, outside):
            server.stop()


@pytest.mark.parametrize("name", STEPS)
def test_a_job_can_do_what_actions_do(ran, name):
    status, text = ran.step(name)
    assert status == 0, text


def test_hooks_run_before_the_first_step_and_after_the_last(ran):
    lines = ran.output.splitlines()
    assert (lines[0], lines[-1]) == ("hook: before the first step", "hook: after the last step")


def test_everything_outside_is_reached_by_the_proxy(ran):
    assert {f"CONNECT {name}:443" for name in (*AWS_NAMES, *NAMES)} == set(ran.asked_of_proxy)
    for name in ("packages.example.com//hello.deb", "pypi.example.com/simple/hello-outside/",
                 "registry.example.com/v2/busybox/manifests/1",
                 "files.example.com/project.git/info/refs"):  # fmt: skip
        assert name in {it.replace("/./", "//") for it in ran.asked}


def test_the_machine_reports_its_life_and_touches_no_volume_of_ebs(ran):
    assert ran.stages == ["ready", "job_started", "finished"]
    assert ran.volume.count(0) == 64 << 20
