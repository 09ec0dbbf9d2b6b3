# SPDX-License-Identifier: MIT
"""What the settings turn on, and that turning them off again removes it."""

import json

import pytest


def test_sudo_is_given_and_taken(changed):
    root = changed
    tried = ["runuser", "-u", "runner", "--", "sudo", "-n", "id", "-u"]
    assert root.install("user", RUNNER_SUDO="yes").status == 0
    assert root.run(*tried).output.endswith("0\n")
    assert (root / "etc/sudoers.d/runner").stat().st_mode & 0o777 == 0o440
    assert root.install("user").status == 0
    assert root.run(*tried).status != 0


def test_docker_waits_for_its_socket_and_stays_in_the_slice_of_jobs(changed):
    root = changed
    ended = root.install("docker", "services", "clean", DOCKER="yes")
    assert ended.status == 0, ended.output
    assert root.enabled("docker.socket")
    assert not root.enabled("docker.service")
    assert not root.enabled("containerd.service")
    assert root.run("id", "-nG", "runner").output.split() == ["runner", "docker"]
    early = root.text("etc/systemd/system/docker.socket.d/early.conf")
    assert "\nDefaultDependencies=no\n" in early, "else the runner waits for the whole boot"
    daemon = json.loads(root.text("etc/docker/daemon.json"))
    assert daemon["cgroup-parent"] == "runner.slice"
    assert root.install("docker").status == 0
    assert not root.enabled("docker.socket")
    assert not root.exists("etc/systemd/system/docker.socket.d")
    assert root.run("id", "-nG", "runner").output.split() == ["runner"]


def test_metadata_may_be_allowed_and_denied_again(changed):
    root = changed
    left = ["etc/systemd/system/runner.service.d", "etc/runner-agent/metadata-guard.nft",
            "etc/systemd/system/runner-metadata-guard.service"]  # fmt: skip
    assert root.enabled("runner-metadata-guard.service")
    assert root.install("metadata", JOB_METADATA="allow").status == 0
    assert not root.enabled("runner-metadata-guard.service")
    assert [name for name in left if root.exists(name)] == []
    assert root.install("metadata").status == 0
    assert root.enabled("runner-metadata-guard.service")
    assert [name for name in left if not root.exists(name)] == []


def test_a_machine_may_live_longer(changed):
    root = changed
    timer = "etc/systemd/system/runner-agent-deadline.timer.d/deadline.conf"
    assert not root.exists(timer)
    assert root.install("agent", LIFE_HOURS="24").status == 0
    assert root.text(timer) == "[Timer]\nOnBootSec=\nOnBootSec=24h\n"
    assert root.enabled("runner-agent-deadline.timer")
    assert root.install("agent").status == 0
    assert not root.exists(timer)


def test_ssh_has_keys_of_its_own_and_takes_the_launch_key(changed):
    root = changed
    ended = root.install("services", "clean", SSH="yes")
    assert ended.status == 0, ended.output
    assert root.enabled("ssh.service")
    assert root.enabled("ssh-host-keys.service")
    assert not list((root / "etc/ssh").glob("ssh_host_*"))
    assert root.run("systemd-analyze", "verify", "--man=no", "ssh-host-keys.service").status == 0
    # as the machine does at its first boot
    script = "ssh-keygen -A && mkdir -p /run/sshd && sshd -T -C user=admin,host=a,addr=127.0.0.1"
    said = root.run("sh", "-c", script)
    assert said.status == 0, said.output
    assert "authorizedkeyscommand /usr/lib/scale-agent/launch-key %u" in said.output
    assert "passwordauthentication no" in said.output
    assert root.run("/usr/lib/scale-agent/launch-key", "runner").output == ""
    assert root.install("services").status == 0
    assert root.masked("ssh.service")
    assert not root.exists("etc/ssh/sshd_config.d/10-launch-key.conf")


METADATA = """
import http.server
class Metadata(http.server.BaseHTTPRequestHandler):
    def do_PUT(self): self.answer("TOKEN")
    def do_GET(self):
        good = self.headers["X-aws-ec2-metadata-token"] == "TOKEN"
        good = good and self.path == "/latest/meta-data/public-keys/0/openssh-key"
        self.answer("ssh-ed25519 AAAA launch" if good else "no")
    def answer(self, text):
        self.send_response(200); self.end_headers(); self.wfile.write(text.encode())
    def log_message(self, *_): pass
http.server.HTTPServer(("169.254.169.254", 80), Metadata).serve_forever()
"""


def test_launch_key_comes_from_the_metadata_service(changed):
    root = changed
    (root / "root/server.py").write_text(METADATA)
    script = """
        ip link set lo up && ip address add 169.254.169.254/32 dev lo
        python3 /root/server.py & server=$!
        for _ in 1 2 3 4 5 6 7 8 9 10; do
          /usr/lib/scale-agent/launch-key admin 2>/dev/null && break; sleep 0.5
        done
        kill $server
    """
    assert root.install("services", SSH="yes").status == 0
    said = root.run("sh", "-c", script, network=False).output
    assert said.strip() == "ssh-ed25519 AAAA launch"


def test_prefix_reaches_the_agent(changed):
    root = changed
    assert root.install("agent", PREFIX="/team/runners").status == 0
    assert json.loads(root.text("etc/runner-agent/config.json"))["prefix"] == "/team/runners"


def test_a_mirror_is_asked_for_the_release(changed):
    root = changed
    (root / "opt/actions-runner/.version").unlink()
    arch = {"x86_64": "x64", "aarch64": "arm64"}[root.run("uname", "-m").output.strip()]
    script = f"""
        ip link set lo up; mkdir -p /srv/mirror
        cp /in/runner.tar.gz /srv/mirror/actions-runner-linux-{arch}-2.330.0.tar.gz
        python3 -m http.server -d /srv 8000 >/dev/null 2>&1 & server=$!
        sleep 1; /ami/install runner; status=$?; kill $server; exit $status
    """
    settings = {**root.settings, "RUNNER_ARCHIVE": "http://127.0.0.1:8000/mirror/"}
    ended = root.run("sh", "-c", script, network=False, **settings)
    assert ended.status == 0, ended.output
    assert root.text("opt/actions-runner/.version").startswith("2.330.0")
    assert not list((root / "var/tmp").iterdir()), "what was fetched is gone"


@pytest.mark.parametrize("interrupted", [".new", ".old"])
def test_what_an_interrupted_run_left_does_not_disturb(changed, interrupted):
    root = changed
    (root / "opt/actions-runner").rename(root / f"opt/actions-runner{interrupted}")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\n# while ami/install runs: no service is started\nexit 101\n")
    ended = root.install("agent", "runner")
    assert ended.status == 0, ended.output
    assert [path.name for path in (root / "opt").iterdir()] == ["actions-runner"]
    assert not policy.exists()
