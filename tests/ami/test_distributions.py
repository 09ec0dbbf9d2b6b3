# SPDX-License-Identifier: MIT
"""What the steps ask of Ubuntu and Amazon Linux 2023, without their archives.

A Debian claims to be the other system, and stand-ins record what apt and dnf are asked for. This
shows which packages and units are named, and that the scripts take the right branches. It cannot
show that these packages exist or that such a system boots: an image built on EC2 does.
"""

import re
import shutil

import pytest
from ami.root import PROJECT, make_programs

RELEASES = {
    "ubuntu": 'ID=ubuntu\nPRETTY_NAME="Ubuntu 24.04"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n',
    "ubuntu-26.04": 'ID=ubuntu\nPRETTY_NAME="Ubuntu 26.04"\nVERSION_ID="26.04"\n'
    "VERSION_CODENAME=resolute\n",
    "amazon": 'ID="amzn"\nPRETTY_NAME="Amazon Linux 2023"\nVERSION_ID="2023"\n',
}
RECORD = '#!/bin/sh\necho "${0##*/} $*" >>/calls\n'
PROGRAMS = {
    "apt-get": RECORD,
    # has every package but one
    "apt-cache": """#!/bin/sh
        while [ "$1" != policy ]; do shift; done
        shift
        for name; do
            [ "$name" = brotli ] || printf '%s:\\n  Candidate: 1\\n' "$name"
        done""",
    "dnf": RECORD,
    "grubby": RECORD,
    "update-ca-trust": RECORD,
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
    "ubuntu": ["snapd.service", "snapd.socket", "unattended-upgrades.service", "motd-news.timer",
               "docker.socket", "docker.service"],
    "ubuntu-26.04": ["snapd.service", "docker.socket", "docker.service"],
    "amazon": ["chronyd.service", "sshd.service", "amazon-ssm-agent.service", "tmp.mount",
               "policy-routes@.service", "docker.socket", "docker.service"],
}  # fmt: skip
UNIT = "[Unit]\nDescription=stand-in\n[Service]\nExecStart=/bin/true\n[Install]\n"


def disguise(root, name):
    """Let a Debian claim to be another system."""
    (root / "usr/lib/os-release").write_text(RELEASES[name])
    for program, text in PROGRAMS.items():
        (root / f"usr/local/sbin/{program}").write_text(text)
        (root / f"usr/local/sbin/{program}").chmod(0o755)
    for unit in UNITS[name]:
        # some are masked in the Debian image
        (root / f"etc/systemd/system/{unit}").unlink(missing_ok=True)
        (root / f"usr/lib/systemd/system/{unit}").write_text(UNIT + "WantedBy=multi-user.target\n")
    (root / "opt/actions-runner/.version").unlink()


@pytest.fixture(scope="module", params=["ubuntu", "amazon"])
def asked(request, image, work):
    """One of the systems after ami/install, its name, and the recorded calls."""
    with image.lend(work / request.param) as root:
        disguise(root, request.param)
        (root.inputs / "agent.rpm").write_bytes(b"what rpm reads")
        kind = "rpm" if request.param == "amazon" else "deb"
        settings = {"BUILD_TOOLS": "yes", "EXTRA_PACKAGES": "jq tree"}
        ended = root.install(AGENT_PACKAGE=f"/in/agent.{kind}", **settings)
        assert ended.status == 0, ended.output
        yield root, request.param, root.text("calls").splitlines()


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


# -- PROFILE=hosted --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["ubuntu", "ubuntu-26.04"])
def hosted_ubuntu(request, image, work):
    """An Ubuntu with PROFILE=hosted, its name, the recorded calls, and what was said."""
    with image.lend(work / f"hosted-{request.param}") as root:
        root.ami = work / f"ami-{request.param}"
        shutil.copytree(PROJECT / "ami", root.ami)
        make_programs(root.inputs / f"tools-{request.param}", root.ami / "packages/tools.pins")
        disguise(root, request.param)
        for name in ("visudo", "sudo", "usermod"):
            (root / f"usr/local/sbin/{name}").write_text(RECORD)
            (root / f"usr/local/sbin/{name}").chmod(0o755)
        ended = root.install(
            PROFILE="hosted",
            BUILD_TOOLS="yes",
            TOOLS="java browser db",
            TOOLS_MIRROR=f"/in/tools-{request.param}",
        )
        assert ended.status == 0, ended.output
        yield root, request.param, root.text("calls").splitlines(), ended.output


def test_hosted_asks_for_what_githubs_images_have(hosted_ubuntu):
    _, name, calls, said = hosted_ubuntu
    asked = set(next(call for call in calls if " install " in call).split())
    assert {"git-lfs", "pipx", "python-is-python3", "cmake", "uidmap", "apparmor"} <= asked
    assert {"maven", "xvfb", "postgresql", "libasound2t64"} <= asked
    assert {"libicu78", "7zip"} <= asked if name == "ubuntu-26.04" else {"libicu74"} <= asked
    assert "brotli" not in asked
    assert "does not have, and goes without: brotli\n" in said


def test_docker_comes_from_dockers_archive_in_the_version_of_githubs_image(hosted_ubuntu):
    root, name, calls, _ = hosted_ubuntu
    (call,) = [call for call in calls if " install " in call and "docker-ce" in call]
    assert {"docker-ce-cli", "docker-buildx-plugin", "docker-compose-plugin"} <= set(call.split())
    source = root.text("etc/apt/sources.list.d/docker.sources")
    assert "\nURIs: https://download.docker.com/linux/ubuntu\n" in source
    assert f"\nSuites: {'noble' if name == 'ubuntu' else 'resolute'}\n" in source
    assert "\nSigned-By: /etc/apt/keyrings/docker.asc\n" in source
    first = root.text("etc/apt/preferences.d/docker").split("Package: docker-ce\n")[1]
    assert first.startswith(f"Pin: version 5:{'28.0.4' if name == 'ubuntu' else '29.4.2'}-*\n")


def test_actions_are_told_which_image_it_is(hosted_ubuntu):
    root, name, *_ = hosted_ubuntu
    image = "ubuntu24" if name == "ubuntu" else "ubuntu26"
    assert f"ImageOS={image}\n" in root.text("opt/actions-runner/.env")


PINNED = """
    . /ami/common.sh
    mkdir -p /tmp/apt/archive && cd /tmp/apt/archive
    for version in VERSIONS; do
        mkdir -p build/DEBIAN
        printf 'Package: docker-ce\\nVersion: %s\\nArchitecture: all\\nMaintainer: x <x@x>\\n' \
            "$version" >build/DEBIAN/control
        echo 'Description: x' >>build/DEBIAN/control
        dpkg-deb --build build "docker-ce_$version.deb" >/dev/null
        { dpkg-deb -f "docker-ce_$version.deb"; echo "Filename: ./docker-ce_$version.deb"
          echo "Size: $(stat -c %s "docker-ce_$version.deb")"
          echo "SHA256: $(sha256sum "docker-ce_$version.deb" | cut -d ' ' -f 1)"; echo; } >>Packages
    done
    release=RELEASE distribution=${release%%-*} DOCKER_FROM=https://h
    put_docker_archive /tmp/apt
    echo 'deb [trusted=yes] file:/tmp/apt/archive ./' >/tmp/apt/sources.list.d/docker.sources.list
    rm /tmp/apt/sources.list.d/docker.sources
    mkdir -p lists/partial
    set -- -o Dir::State::Lists=/tmp/apt/archive/lists -o Dir::Etc::SourceList=/dev/null \
        -o Dir::Etc::SourceParts=/tmp/apt/sources.list.d \
        -o Dir::Etc::PreferencesParts=/tmp/apt/preferences.d -o APT::Sandbox::User=root
    /usr/bin/apt-get "$@" update >/dev/null 2>&1
    /usr/bin/apt-cache "$@" policy docker-ce | sed -n 's/^  Candidate: //p'
    rm -rf /tmp/apt
"""


@pytest.mark.parametrize(
    ("release", "there", "taken"),
    [
        ("ubuntu-24.04", ["28.0.4", "28.5.1", "29.1.0"], "5:28.0.4-1"),
        ("debian-13", ["28.0.4", "28.5.1", "29.1.0"], "5:28.5.1-1"),
        ("ubuntu-26.04", ["28.0.4", "29.4.2", "30.0.0"], "5:29.4.2-1"),
        ("debian-13", ["29.1.0"], "(none)"),
    ],
)
def test_apt_takes_no_other_version_of_docker(changed, release, there, taken):
    versions = " ".join(f"5:{version}-1" for version in there)
    script = PINNED.replace("VERSIONS", versions).replace("RELEASE", release)
    assert changed.run("bash", "-c", script).output.strip().splitlines()[-1:] == [taken]


# Nothing that Debian or GitHub's list has; see packages.ubuntu.com.
ONLY_UBUNTU = {"libicu74", "libicu78", "mysql-client", "mysql-server"}


def test_each_package_for_ubuntu_is_in_githubs_list_or_in_debian(stock, work):
    listed = (PROJECT / "tests/ami/data/runner-images").read_text().splitlines()
    known = {line.split()[0] for line in listed if not line.startswith("#")}
    root = stock.copy(work / "names")
    groups = "base build hosted hosted-build java browser db"
    names = set()
    for release in ("ubuntu-24.04", "ubuntu-26.04"):
        script = f". /ami/common.sh; release={release} distribution=ubuntu; packages_of {groups}"
        names |= {line.split()[0] for line in root.run("bash", "-c", script).output.splitlines()}
    assert len(names) > 100
    for suite in ("bookworm", "trixie"):
        sources = root / "etc/apt/sources.list.d/debian.sources"
        sources.write_text(re.sub("bookworm|trixie", suite, sources.read_text()))
        script = (
            'apt-get update >/dev/null; apt-cache policy "$@" | sed -n "s/^\\([^ ]*\\):$/\\1/p"'
        )
        rest = sorted(names - known - ONLY_UBUNTU)
        known |= set(root.run("sh", "-c", script, "sh", *rest).output.split())
    assert names - known == ONLY_UBUNTU & names


def test_amazon_asks_for_packages_by_a_proxy(asked):
    root, name, _ = asked
    if name != "amazon":
        return
    plain = "[main]\ngpgcheck=True\n"
    (root / "etc/dnf").mkdir()
    (root / "etc/dnf/dnf.conf").write_text(plain)
    for _ in range(2):
        ended = root.install("proxy", PROXY="http://me:se:cret@proxy.example.com:3128/")
        assert ended.status == 0, ended.output
        assert root.text("etc/dnf/dnf.conf").splitlines() == [
            *plain.splitlines(),
            "proxy=http://proxy.example.com:3128",
            "proxy_username=me",
            "proxy_password=se:cret",
        ]
    assert root.install("proxy").status == 0
    assert root.text("etc/dnf/dnf.conf") == plain


def test_amazon_has_authorities_of_its_own_place(asked):
    root, name, _ = asked
    if name != "amazon":
        return
    given = "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt"
    ended = root.install("authorities", "environment", CA_CERTIFICATES=given)
    assert ended.status == 0, ended.output
    anchor = "etc/pki/ca-trust/source/anchors/scale-agent-1.crt"
    assert root.text(anchor) == root.text(given)
    assert root.text("calls").splitlines()[-1] == "update-ca-trust extract"
    assert "\nAWS_CA_BUNDLE=/etc/pki/tls/certs/ca-bundle.crt\n" in root.text(
        "opt/actions-runner/.env"
    )
    assert root.install("authorities", "environment").status == 0
    assert not root.exists(anchor)
    assert not root.exists("opt/actions-runner/.env")
