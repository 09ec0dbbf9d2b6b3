# SPDX-License-Identifier: MIT
"""What the steps ask of Ubuntu and Amazon Linux 2023, without their archives.

A Debian claims to be the other system, and stand-ins record what apt and dnf are asked for. This
shows which packages and units are named, and that the scripts take the right branches. It cannot
show that these packages exist or that such a system boots: an image built on EC2 does.
"""

import pytest

RELEASES = {
    "ubuntu": 'ID=ubuntu\nPRETTY_NAME="Ubuntu 24.04"\nVERSION_ID="24.04"\n',
    "ubuntu-26.04": 'ID=ubuntu\nPRETTY_NAME="Ubuntu 26.04"\nVERSION_ID="26.04"\n',
    "amazon": 'ID="amzn"\nPRETTY_NAME="Amazon Linux 2023"\nVERSION_ID="2023"\n',
}
RECORD = '#!/bin/sh\necho "${0##*/} $*" >>/calls\n'
PROGRAMS = {
    "apt-get": RECORD,
    # has every package but one
    "apt-cache": RECORD
    + """shift 8
        [ "$1" != policy ] || shift
        for name; do
            [ "$name" = brotli ] || printf '%s:\\n  Candidate: 1\\n' "$name"
        done""",
    "dnf": RECORD,
    "grubby": RECORD,
    "update-grub": RECORD,
    "gpasswd": RECORD,
    # answers the checks of the package
    "rpm": RECORD
    + """case "$*" in
        *NAME*) printf runner-agent ;;
        *ARCH*) uname -m | tr -d '\\n' ;;
        -qpl*) for unit in runner-agent.service runner-agent-deadline.timer runner.socket \\
            runner.service; do echo /usr/lib/systemd/system/$unit; done ;;
        esac""",
    # like p11-kit, one file per certificate
    "trust": RECORD
    + """for folder; do :; done
        mkdir "$folder" && cd /usr/share/ca-certificates/mozilla || exit 1
        for file in ISRG*.crt Amazon*.crt; do cp "$file" "$folder/${file%.crt}.pem"; done""",
}
UNITS = {
    "ubuntu": ["snapd.service", "snapd.socket", "unattended-upgrades.service", "motd-news.timer"],
    "amazon": ["chronyd.service", "sshd.service", "amazon-ssm-agent.service", "tmp.mount",
               "policy-routes@.service", "docker.socket", "docker.service"],
}  # fmt: skip
UNIT = "[Unit]\nDescription=stand-in\n[Service]\nExecStart=/bin/true\n[Install]\n"


@pytest.fixture(scope="module", params=["ubuntu", "amazon"])
def asked(request, image, work):
    """One of the systems after ami/install, its name, and the recorded calls."""
    root = image.copy(work / request.param)
    (root / "usr/lib/os-release").write_text(RELEASES[request.param])
    for name, text in PROGRAMS.items():
        (root / f"usr/local/sbin/{name}").write_text(text)
        (root / f"usr/local/sbin/{name}").chmod(0o755)
    for unit in UNITS[request.param]:
        # some are masked in the Debian image
        (root / f"etc/systemd/system/{unit}").unlink(missing_ok=True)
        (root / f"usr/lib/systemd/system/{unit}").write_text(UNIT + "WantedBy=multi-user.target\n")
    (root / "opt/actions-runner/.version").unlink()
    (root.inputs / "agent.rpm").write_bytes(b"what rpm reads")
    kind = "rpm" if request.param == "amazon" else "deb"
    settings = {"BUILD_TOOLS": "yes", "EXTRA_PACKAGES": "jq tree"}
    ended = root.install(AGENT_PACKAGE=f"/in/agent.{kind}", **settings)
    assert ended.status == 0, ended.output
    return root, request.param, root.text("calls").splitlines()


def test_packages_are_those_of_the_distribution(asked):
    _, name, calls = asked
    first = next(call for call in calls if " install " in call).split()
    assert {"git" if name == "ubuntu" else "git-core", "nftables", "jq", "tree"} <= set(first)
    if name == "ubuntu":
        assert {"libicu74", "libssl3t64", "build-essential", "cloud-guest-utils"} <= set(first)
        assert "--no-install-recommends" in first
    else:
        assert {"libicu", "openssl-libs", "gcc", "cloud-utils-growpart"} <= set(first)
        assert "--setopt=install_weak_deps=False" in first
        assert "curl" not in first, "it conflicts with curl-minimal"
    assert not [call for call in calls if call.startswith("apt-get") and name == "amazon"]


def test_agent_comes_from_its_package(asked):
    _, name, calls = asked
    if name == "ubuntu":
        assert any("--reinstall /in/agent.deb" in call for call in calls)
    else:
        assert any(call.startswith("dnf install") and "/in/agent.rpm" in call for call in calls)
        assert "rpm --upgrade --oldpackage --replacepkgs /in/agent.rpm" in calls


def test_units_of_the_distribution_are_off(asked):
    root, name, _ = asked
    off = {
        "ubuntu": ["snapd.service", "snapd.socket", "unattended-upgrades.service",
                   "motd-news.timer"],
        "amazon": ["amazon-ssm-agent.service", "tmp.mount", "policy-routes@.service",
                   "sshd.service"],
    }  # fmt: skip
    assert [unit for unit in off[name] if not root.masked(unit)] == []
    assert root.enabled("chronyd.service" if name == "amazon" else "chrony.service")


def test_boot_loader_is_told_its_own_way(asked):
    root, name, calls = asked
    if name == "amazon":
        (call,) = [call for call in calls if call.startswith("grubby")]
        assert "--update-kernel=ALL" in call
        assert "panic=-1" in call
    else:
        assert "GRUB_TIMEOUT=0" in root.text("etc/default/grub.d/90-runner.cfg")


def test_amazon_agent_finds_authorities_by_hash(asked):
    root, name, _ = asked
    drop_in = "etc/systemd/system/runner-agent.service.d/authorities.conf"
    if name == "ubuntu":
        assert not root.exists(drop_in)
        return
    assert "Environment=SSL_CERT_DIR=/etc/runner-agent/authorities" in root.text(drop_in)
    script = "cd /etc/runner-agent/authorities && openssl verify -no-CAfile -CApath . *.pem"
    ended = root.run("sh", "-c", script)
    assert ended.status == 0, ended.output
    assert ended.output.count(": OK") > 3
