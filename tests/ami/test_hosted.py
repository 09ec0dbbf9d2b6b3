# SPDX-License-Identifier: MIT
"""PROFILE=hosted on a Debian 13: what actions look for on the machine of a job."""

import re

import pytest
from ami.root import WRITTEN_AGAIN

ENVIRONMENT = {
    "ImageOS": "debian13",
    "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
    "AGENT_TOOLSDIRECTORY": "/opt/hostedtoolcache",
    "DEBIAN_FRONTEND": "noninteractive",
    "ACCEPT_EULA": "Y",
    "XDG_CONFIG_HOME": "/home/runner/.config",
    "DOTNET_NOLOGO": "1",
    "DOTNET_SKIP_FIRST_TIME_EXPERIENCE": "1",
}


@pytest.fixture(scope="module")
def machine(hosted):
    """The image, which no test changes."""
    return hosted[0]


@pytest.fixture(scope="module")
def altered(machine, work):
    """A copy for tests that install again."""
    with machine.lend(work / "hosted-altered") as root:
        yield root


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def as_job(root, script):
    """Run a script as a step of a job: user runner, and the variables of .env."""
    given = variables(root.text("opt/actions-runner/.env"))
    words = [f"{name}={value}" for name, value in given.items()]
    return root.run(
        "runuser",
        "-u",
        "runner",
        "--",
        "env",
        "-i",
        "HOME=/home/runner",
        *words,
        "bash",
        "-ec",
        script,
    )


# -- environment -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["opt/actions-runner/.env", "etc/environment"])
def test_steps_get_the_variables_of_githubs_machines(machine, file):
    found = variables(machine.text(file))
    assert ENVIRONMENT.items() <= found.items()
    assert re.fullmatch(r"20\d{6}\.1", found["ImageVersion"])
    assert "XDG_RUNTIME_DIR" not in found
    first = found["PATH"].split(":")[:3]
    assert first == [f"/home/runner/{it}" for it in (".local/bin", ".cargo/bin", ".dotnet/tools")]
    assert "/usr/local/bin" in found["PATH"].split(":")


def test_the_runner_has_its_number_and_folders_that_it_may_write(machine):
    assert machine.run("id", "-u", "runner").output == "1001\n"
    script = "touch /opt/hostedtoolcache/x /usr/share/dotnet/x ~/work/x ~/.local/bin/x ~/.config/x"
    assert as_job(machine, f"{script} && rm /opt/hostedtoolcache/x /usr/share/dotnet/x ~/work/x "
                  "~/.local/bin/x ~/.config/x").status == 0  # fmt: skip


def test_a_job_becomes_root_without_a_question(machine):
    said = as_job(machine, "{ sudo -n id -u; sudo -n printenv DEBIAN_FRONTEND; } 2>/dev/null")
    assert said.output.split() == ["0", "noninteractive"]
    text = as_job(machine, "sudo env").output
    assert ENVIRONMENT.items() <= variables(text).items()


def test_what_else_the_systems_environment_says_stays(altered):
    path = altered / "etc/environment"
    path.write_text("HTTPS_PROXY=http://proxy:3128\nDEBIAN_FRONTEND=dialog\n" + path.read_text())
    assert altered.install("environment").status == 0
    found = path.read_text().splitlines()
    assert found[0] == "HTTPS_PROXY=http://proxy:3128"
    assert [line for line in found if line.startswith("DEBIAN_FRONTEND")] == [
        "DEBIAN_FRONTEND=noninteractive"
    ]


def test_a_newer_runner_keeps_the_environment(altered):
    was = altered.text("opt/actions-runner/.env")
    (altered / "opt/actions-runner/.version").unlink()
    assert altered.install("runner").status == 0
    assert altered.text("opt/actions-runner/.env") == was


# -- programs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["jq --version", "zip -v", "python --version", "pip --version", "pipx --version",
     "python3 -m venv /tmp/venv", "git lfs version", "gpg --version", "ssh -V", "cmake --version",
     "ninja --version", "autoconf --version", "shellcheck --version", "sqlite3 -version",
     "rsync --version", "lsb_release -a", "7z", "nc -h", "dig -v", "lsof -v", "patchelf --version",
     "docker-credential-ecr-login version", "newuidmap 2>&1 | grep -i usage",
     "dockerd --version", "gcc --version"],
)  # fmt: skip
def test_a_job_finds_programs(machine, command):
    ended = as_job(machine, command)
    assert ended.status == 0, ended.output


@pytest.mark.parametrize("name", ["gh", "yq", "node", "npm", "aws"])
def test_programs_from_outside_the_archives_are_there(machine, name):
    assert (
        as_job(machine, f"test $(command -v {name}) = /usr/local/bin/{name} && {name}").status == 0
    )


def test_programs_that_are_installed_are_not_fetched_again(altered):
    ended = altered.install("tools", TOOLS_MIRROR="/in")
    assert ended.status == 0, ended.output
    assert "fetching" not in ended.output


def test_a_job_may_install_packages_at_once(machine):
    lists = [path.name for path in (machine / "var/lib/apt/lists").iterdir()]
    packed = [name for name in lists if "_Packages" in name]
    assert packed and all(name.endswith((".lz4", ".gz", ".zst", ".xz")) for name in packed)
    shown = as_job(machine, "apt-cache policy hello").output
    assert "Candidate: (none)" not in shown and "Candidate:" in shown
    asked = as_job(machine, "sudo apt-get install --simulate hello").output
    assert "Inst hello" in asked


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("APT::Get::Assume-Yes", "true"),
        ("Acquire::Retries", "10"),
        ("Acquire::http::Timeout", "30"),
        ("Acquire::GzipIndexes", "true"),
    ],
)
def test_apt_neither_asks_nor_gives_up(machine, setting, value):
    shown = machine.run("apt-config", "dump", "--format", "%f=%v%n", setting).output
    assert f"{setting}={value}\n" in shown


def test_dpkg_keeps_configuration_files(machine):
    shown = machine.run("apt-config", "dump", "DPkg::Options").output
    assert "--force-confdef" in shown and "--force-confold" in shown


def test_git_and_pip_and_ssh_do_as_on_githubs_machines(machine):
    assert as_job(machine, "git config --system safe.directory").output == "*\n"
    assert "global.break-system-packages='true'" in as_job(machine, "pip config list").output
    known = as_job(machine, "ssh-keygen -F github.com -f /etc/ssh/ssh_known_hosts -l").output
    # docs.github.com lists these
    for print_ in (
        "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
        "SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
        "SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
    ):
        assert print_ in known


def test_limits_are_those_of_githubs_machines(machine):
    shown = machine.run("systemd-analyze", "cat-config", "sysctl.d").output
    for line in ("vm.max_map_count = 262144", "vm.mmap_rnd_bits = 28",
                 "fs.inotify.max_user_watches = 655360",
                 "fs.inotify.max_user_instances = 1280"):  # fmt: skip
        assert f"\n{line}\n" in shown
    unit = machine.text("etc/systemd/system/runner.service.d/limits.conf")
    assert "\nLimitNOFILE=65536:1048576\n" in unit and "\nLimitSTACK=16M:infinity\n" in unit


def test_nothing_is_restarted_and_no_manual_indexed_while_a_job_installs(machine):
    text = machine.text("etc/needrestart/conf.d/90-runner.conf")
    assert "$nrconf{restart} = 'l';" in text and "runner|docker|containerd|systemd-networkd" in text
    assert machine.run("perl", "-c", "/etc/needrestart/conf.d/90-runner.conf").status == 0
    assert not machine.exists("var/lib/man-db/auto-update")


def test_regional_mirrors_give_way_to_the_archive(altered):
    path = altered / "etc/apt/sources.list.d/regional.sources"
    path.write_text(
        "Enabled: no\nTypes: deb\nURIs: http://eu-central-1.ec2.archive.ubuntu.com/ubuntu/\n"
        "URIs: http://eu-central-1.ec2.ports.ubuntu.com/ubuntu-ports/\nSuites: x\n"
        "Components: main\n"
    )
    ended = altered.install("settings")
    text = path.read_text()
    path.unlink()
    assert ended.status == 0, ended.output
    assert "URIs: http://archive.ubuntu.com/ubuntu/\n" in text
    assert "URIs: http://ports.ubuntu.com/ubuntu-ports/\n" in text


def test_without_ssh_no_server_is_offered_by_other_ways(machine, altered):
    generator = "etc/systemd/system-generators/systemd-ssh-generator"
    assert machine.exists("usr/lib/systemd/system-generators/systemd-ssh-generator")
    assert str((machine / generator).readlink()) == "/dev/null"
    assert altered.install("services", SSH="yes").status == 0
    assert not altered.exists(generator)
    assert altered.install("services").status == 0
    assert altered.exists(generator)


# -- again, and refused ----------------------------------------------------------------------------


def test_a_second_run_changes_nothing(altered):
    assert altered.install().status == 0
    before = altered.contents()
    assert altered.install().status == 0
    after = altered.contents()
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert sorted(name for name in changed if not name.startswith(WRITTEN_AGAIN)) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TOOLS": "java rust"}, "TOOLS is 'rust'; allowed: java browser db"),
        ({"TOOLS_MIRROR": "/in/none"}, "TOOLS_MIRROR is '/in/none'"),
        ({"TOOLS_MIRROR": "http://127.0.0.1:1"}, "a URL that ends in /"),
        ({"DOCKER_FROM": "docker"}, "DOCKER_FROM is 'docker'"),
        ({"DOCKER_FROM": "http://127.0.0.1:1/linux"}, "could not be fetched"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_changes_nothing(altered, settings, said):
    before = altered.tree()
    ended = altered.install(**settings)
    assert ended.status == 1
    assert said in ended.output and "nothing was changed" in ended.output.lower()
    after = altered.tree()
    assert {name for name in before | after if before.get(name) != after.get(name)} == set()


def test_a_program_with_another_checksum_is_refused(altered):
    mark = altered / "usr/lib/scale-agent/tools/yq"
    mark.unlink()
    (program,) = (altered.inputs / "tools").glob("yq_linux_amd64")
    was = program.read_bytes()
    before = altered.tree()
    try:
        program.write_bytes(was + b"# changed\n")
        ended = altered.install()
    finally:
        program.write_bytes(was)
    assert ended.status == 1
    assert "has the SHA-256" in ended.output and "tools.pins says" in ended.output
    assert altered.tree() == before
    assert altered.install("tools").status == 0
