# SPDX-License-Identifier: MIT
"""What the machine or the company around it has: instance volumes, a proxy."""

from __future__ import annotations

from pathlib import Path

from .machines import AWS_ADDRESS, AWS_NAMES
from .proxy import Proxy
from .stand import Stand

PROJECT = Path(__file__).resolve().parents[2]
PROXY_ADDRESS = "169.254.169.22:3128"
SWAP_FILE = "/usr/lib/scale-agent/swap-file"  # in images with SWAP only

WHERE = """
for folder in /opt/actions-runner/_work /home/runner/work /tmp /var/lib/docker /opt; do
  echo $(findmnt --noheadings --nofsroot --output SOURCE,FSTYPE --target $folder) $folder
done
mkdir /opt/actions-runner/_work/one && echo hello >/tmp/file && cat /tmp/file
stat -c '%U %a' /opt/actions-runner/_work
until [ -e /home/runner/go ]; do sleep 0.5; done
"""


def test_a_job_writes_to_the_instance_store_and_no_other_volume_is_touched(cloud):
    disks = {"AWS1": 800, "AWS2": 800, "vol1": 64}
    stand = Stand(cloud).with_hand()
    append = f"{cloud.machines.setup.append} instance-store=2"
    program = (PROJECT / f"ami/files{SWAP_FILE}").read_text()
    stand.set_up(disks=disks, append=append, files={SWAP_FILE: program})
    stand.queue(script=WHERE).runs()
    said = stand.machine.hand(f"sh {SWAP_FILE} 1")
    swaps = stand.machine.hand("cat /proc/swaps; systemctl is-failed instance-store.service")
    stand.machine.hand("touch /home/runner/go")
    stand.ends("success")
    *places, root, hello, owner = stand.job.output.splitlines()
    striped = [["/dev/dm-0", "ext4"], ["/dev/mapper/instance-store", "ext4"]]  # the same disk
    assert len(places) == 4 and all(place.split()[:2] in striped for place in places), places
    assert "nvme0n1p1" in root
    assert (hello, owner) == ("hello", "runner 755")
    assert "/var/lib/instance-store/swapfile" in swaps, said
    assert "active" in swaps.splitlines()
    volume = stand.machine.directory / "vol1.raw"
    assert volume.read_bytes().count(0) == 64 << 20, "a volume of EBS was written to"


def test_a_machine_without_instance_volumes_has_all_of_it_on_its_root(cloud):
    script = "findmnt --noheadings --target /tmp --output TARGET; ls /var/lib"
    stand = Stand(cloud).set_up(disks={"vol1": 64}).queue(script=script).ends("success")
    assert stand.job.output.splitlines()[0] == "/"
    assert "instance-store" not in stand.job.output


def test_an_agent_behind_a_proxy_reaches_aws_by_it_and_the_metadata_without(cloud):
    setup = cloud.machines.setup
    ways = dict(setup.ways)
    gate = ways.pop(AWS_ADDRESS)
    proxy = Proxy({f"{name}:443": gate for name in AWS_NAMES})
    url = f"http://{PROXY_ADDRESS}"
    # no_proxy has nothing: the agent itself keeps the metadata from the proxy
    text = f"http_proxy={url}\nhttps_proxy={url}\n"
    stand = Stand(cloud).set_up(
        ways=ways | {PROXY_ADDRESS: proxy.port}, files={"/etc/runner-agent/environment": text}
    )
    stand.queue(script="true").ends("success")
    assert stand.stages() == ["ready", "job_started", "finished"]
    assert set(proxy.asked) == {f"CONNECT {name}:443" for name in AWS_NAMES}
    proxy.stop()
