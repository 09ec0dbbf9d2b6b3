# SPDX-License-Identifier: MIT
"""The packages of the agent: what they install, where they can be, and that it works there."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time

import elf
import pytest
from package import Deb, Rpm, read
from tree import PROJECT, Root, trust

from cloud.faults import Faults
from cloud.github.tls import make_certificates
from cloud.limits import PATIENCE
from cloud.machines.metadata import Facts, Metadata
from cloud.serve import Answer, Server

PROGRAMS = ["/usr/bin/runner-agent", "/usr/lib/runner-agent/starter"]
UNITS = "/usr/lib/systemd/system"
DATA = [
    f"{UNITS}/poweroff.target.d/runner-agent.conf",
    f"{UNITS}/runner-agent-deadline.service",
    f"{UNITS}/runner-agent-deadline.timer",
    f"{UNITS}/runner-agent-network.service",
    f"{UNITS}/runner-agent.service",
    f"{UNITS}/runner.service",
    f"{UNITS}/runner.slice",
    f"{UNITS}/runner.socket",
    "/usr/share/bash-completion/completions/runner-agent",
    "/usr/share/doc/runner-agent/copyright",
    *[f"/usr/share/doc/runner-agent/licences/{name}" for name in
      ("cjson", "curl", "expat", "openssl", "systemd")],
    "/usr/share/man/man8/runner-agent.8.gz",
]  # fmt: skip
FACTS = Facts("i-0123456789abcdef0", "m7i.large", "eu-central-1a", "eu-central-1", "123456789012")
CREDENTIALS = {
    "AccessKeyId": "AKIDEXAMPLE",
    "SecretAccessKey": "secret",
    "SessionToken": "session",
    "Token": "session",
    "Expiration": "2099-01-01T00:00:00Z",
}


@pytest.fixture
def deb(architecture):
    return Deb(architecture)


@pytest.fixture
def rpm(architecture):
    return Rpm(architecture)


@pytest.fixture
def installed(tmp_path, deb):
    """A root that dpkg installed the package into."""
    ended = deb.install(tmp_path / "root")
    assert ended.returncode == 0, ended.stdout
    return tmp_path / "root"


@pytest.fixture
def root(installed, architecture):
    """The same with glibc, so that the programs run in it."""
    return Root(installed, architecture)


def run(root, *arguments, **environment):
    return subprocess.run(
        [*root.command, *arguments], check=False, env=environment, text=True, timeout=PATIENCE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def content(root):
    return {
        f"/{path.relative_to(root)}": path.read_bytes()
        for path in (root / "usr").rglob("*")
        if path.is_file()
    }


# -- what is in them ------------------------------------------------------------------------------


def test_they_install_these_files_and_no_other(deb, rpm):
    assert sorted(deb.files()) == sorted(PROGRAMS + DATA)
    assert sorted(rpm.files()) == sorted(PROGRAMS + DATA)


def test_only_root_may_change_what_they_install(deb, rpm):
    assert deb.folders() == {(0o755, "0:0")}
    for files in (deb.files(), rpm.files()):
        assert {files[name].mode for name in PROGRAMS} == {0o755}
        assert {files[name].mode for name in DATA} == {0o644}
        assert {file.owner for file in files.values()} == {"0:0"}


def test_both_hold_the_same(tmp_path, deb, rpm, installed):
    rpm.install(tmp_path / "other")
    assert content(tmp_path / "other") == content(installed)


def test_times_are_those_of_the_commit(deb, rpm):
    dated = re.match(r"0~git(\d{14})\.", deb.fields()["Version"])
    times = {file.time for file in [*deb.files().values(), *rpm.files().values()]}
    assert len(times) == 1
    if dated:  # as long as there is no tag
        assert time.strftime("%Y%m%d%H%M%S", time.gmtime(times.pop())) == dated.group(1)


def test_nothing_runs_when_they_are_installed(deb, rpm):
    assert set(deb.control()) == {"control", "md5sums"}
    assert rpm.ask("--scripts", "--triggers", "--filetriggers") == ""


def test_the_deb_describes_itself(deb):
    fields = deb.fields()
    assert fields["Package"] == "runner-agent"
    assert fields["Architecture"] == deb.architecture
    assert fields["Depends"] == "ca-certificates, libc6 (>= 2.34), systemd"
    assert fields["Section"] == "admin"
    assert {"Version", "Maintainer", "Installed-Size", "Description"} <= set(fields)


def test_the_deb_tells_its_size(deb, installed):
    kilobytes = sum(len(data) for data in content(installed).values()) / 1024
    assert kilobytes < int(deb.fields()["Installed-Size"]) < kilobytes + 50


def test_the_rpm_describes_itself_to_amazon_linux(rpm, deb):
    form = "%{NAME} %{ARCH} %{OS} %{VERSION} %{PAYLOADCOMPRESSOR} %{BUILDHOST}"
    version = deb.fields()["Version"]
    said = rpm.ask("--queryformat", form)
    assert said == f"runner-agent {rpm.architecture} linux {version} gzip localhost"
    needed = [line for line in rpm.ask("--requires").splitlines() if "rpmlib(" not in line]
    assert needed == ["ca-certificates", "glibc >= 2.34", "systemd"]
    # rpm 4.16 of Amazon Linux 2023 knows all of these
    known = {"CompressedFileNames", "FileDigests", "PayloadFilesHavePrefix", "TildeInVersions"}
    assert set(re.findall(r"rpmlib\((\w+)\)", rpm.ask("--requires"))) <= known


def test_the_rpm_owns_the_folders_that_nobody_else_has(rpm):
    folders = set(rpm.ask("--list").split()) - set(rpm.files())
    documents = "/usr/share/doc/runner-agent"
    own = {"/usr/lib/runner-agent", f"{UNITS}/poweroff.target.d", documents}
    assert folders == own | {f"{documents}/licences"}


def test_checksums_are_right(deb, installed):
    lines = deb.control()["md5sums"].splitlines()
    told = {f"/{path}": digest for digest, path in (line.split("  ") for line in lines)}
    assert told == {
        path: hashlib.md5(data, usedforsecurity=False).hexdigest()
        for path, data in content(installed).items()
    }


def test_licences_are_those_of_the_libraries_inside(installed):
    documents = installed / "usr/share/doc/runner-agent"
    assert "MIT License" in (documents / "copyright").read_text()
    words = {
        "cjson": "Dave Gamble",
        "curl": "Daniel Stenberg",
        "expat": "Expat maintainers",
        "openssl": "Apache License",
        "systemd": "GNU LESSER GENERAL PUBLIC LICENSE",
    }
    for name, word in words.items():
        assert word in (documents / "licences" / name).read_text()


# -- the programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_on_each_distribution(installed, program):
    path = installed / program.lstrip("/")
    elf.assert_loads_with_old_glibc(path)
    elf.assert_needs_glibc_only(path)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_hardened(installed, program):
    elf.assert_hardened(installed / program.lstrip("/"))
    elf.assert_of_no_machine(installed / program.lstrip("/"), PROJECT)


def test_the_agent_tells_the_version_of_the_package(root, deb):
    ended = run(root, "/usr/bin/runner-agent", "--version")
    assert ended.returncode == 0, ended.stdout
    told = ended.stdout.split()[1].removesuffix("-dirty").removeprefix("v")
    assert told.replace("-", ".") in deb.fields()["Version"].replace("+", ".")


def test_launch_starts(root):
    ended = run(root, "/usr/lib/runner-agent/starter")
    assert ended.returncode != 0
    assert "starter" in ended.stdout


# -- in a system ----------------------------------------------------------------------------------


def test_dpkg_takes_it_and_gives_it_back(deb, installed):
    assert deb.dpkg(installed, "--verify", "runner-agent").stdout == ""
    assert deb.dpkg(installed, "--purge", "runner-agent").returncode == 0
    assert not (installed / "usr").exists() or content(installed) == {}


def test_dpkg_refuses_it_where_glibc_is_too_old(tmp_path, deb):
    ended = deb.install(tmp_path / "root", glibc="2.31-13")
    assert ended.returncode != 0
    assert "depends on libc6 (>= 2.34)" in ended.stdout


def test_units_name_what_the_package_has(installed):
    folder = installed / UNITS.lstrip("/")
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert not [name for name, text in texts.items() if re.search(r"@\w+@", text)]
    lines = "\n".join(texts.values())
    started = re.findall(r"^ExecStart=(/\S+)", lines, re.MULTILINE)
    assert sorted(started) == PROGRAMS
    needs = re.findall(r"^(?:Requires|Wants|Slice|Unit)=(.*)", lines, re.MULTILINE)
    ours = {unit for unit in " ".join(needs).split() if unit.startswith("runner")}
    assert {"runner.socket", "runner.slice"} <= ours <= set(texts)


def test_the_manual_page_is_there(installed):
    page = read("zcat", installed / "usr/share/man/man8/runner-agent.8.gz").decode()
    assert page.startswith(".TH") and "--no-shutdown" in page.replace("\\", "")


# -- by hand --------------------------------------------------------------------------------------


class Peer:
    """AWS for an agent: metadata, and an SSM that keeps what it was asked, and has nothing."""

    def __init__(self, directory):
        directory.mkdir()
        self.ca_file, tls = make_certificates(directory)
        self.asked = []
        self.metadata = Metadata(FACTS, lambda: CREDENTIALS, Faults())
        self.metadata.start()
        self.server = Server(self._serve, tls).start()

    def _serve(self, request):
        self.asked.append(request.headers.get("x-amz-target"))
        return Answer.of(400, {"__type": "ParameterNotFound"})

    def stop(self):
        self.server.stop()
        self.metadata.stop()


@pytest.fixture
def by_hand(tmp_path, root):
    """Run the agent as a person does, without a setting of authorities."""
    peer = Peer(tmp_path / "peer")
    config = root.root / "etc/runner-agent/config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"parameter_limit_seconds": 2}))

    def start():
        return run(
            root, "/usr/bin/runner-agent", "--no-shutdown",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=peer.metadata.url,
            AWS_ENDPOINT_URL=f"https://127.0.0.1:{peer.server.port}",
        )  # fmt: skip

    start.peer, start.root = peer, root.root
    yield start
    peer.stop()


def test_debians_authorities_are_found_without_a_setting(by_hand):
    trust(by_hand.peer.ca_file, by_hand.root / "etc/ssl/certs")
    ended = by_hand()
    assert "AmazonSSM.GetParameter" in by_hand.peer.asked, ended.stdout


def test_without_authorities_it_says_where_they_were_looked_for(by_hand):
    ended = by_hand()
    assert ended.returncode == 1
    assert by_hand.peer.asked == []
    assert "trusted are the authorities in /etc/ssl/certs (SSL_CERT_FILE" in ended.stdout
