# SPDX-License-Identifier: MIT
"""What companies add: proxy, authorities, hooks, variables, a script, archives of actions."""

from __future__ import annotations

import json
import subprocess

import pytest

PROXY = "http://user:p%40ss@proxy.example.com:3128"
ENV = "opt/actions-runner/.env"
AGENT_ENVIRONMENT = "etc/runner-agent/environment"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_authority(path, name, days=30):
    """Make a certificate authority, and return its certificate."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-days", str(days),
               "-keyout", path.with_suffix(".key"), "-out", path]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return path.read_text()


@pytest.fixture(scope="module")
def inputs(stock):
    """The folder that is /in, with what companies have."""
    folder = stock.inputs
    one = make_authority(folder / "one.pem", "One CA")
    two = make_authority(folder / "two.pem", "Two CA")
    (folder / "both.pem").write_text(f"# One\n{one}# Two\n{two}")
    (folder / "key.pem").write_text(one + (folder / "one.key").read_text())
    (folder / "cut.pem").write_text("\n".join(one.splitlines()[:3] + one.splitlines()[-1:]) + "\n")
    (folder / "text.pem").write_text("no certificate\n")
    (folder / "started.sh").write_text("#!/bin/sh\necho started\n")
    (folder / "hook.py").write_text("print()\n")
    (folder / "empty.sh").write_text("")
    (folder / "variables").write_text("# ours\nTEAM=a b=c\n\nREGION=eu\r\n")
    (folder / "no-variables").write_text("TEAM=a\nexport REGION=eu\n")
    (folder / "setup").write_text("#!/bin/sh\nid -u >/etc/setup; pwd >>/etc/setup\necho set up\n")
    (folder / "failing").write_text("#!/bin/sh\necho no license >&2\nexit 7\n")
    (folder / "no-script").write_text("echo\n")
    (folder / "no-archives").mkdir(exist_ok=True)
    for kind, name in (("archives", COMMIT), ("tags", "v4"), ("damaged", COMMIT)):
        archive = folder / kind / f"actions_checkout/{name}.tar.gz"
        archive.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-czf", archive, "-C", folder, "variables"], check=True)
    damaged = folder / f"damaged/actions_checkout/{COMMIT}.tar.gz"
    damaged.write_bytes(damaged.read_bytes()[:40])
    (folder / "archives/README").write_text("not an archive\n")
    return folder


@pytest.fixture(scope="module")
def root(changed, inputs):
    return changed


def installed(root, *steps, **settings):
    ended = root.install(*steps, **settings)
    assert ended.status == 0, ended.output
    return ended.output


def variables(root, name=ENV):
    """The variables that a file gives, as the runner reads them: the last one wins."""
    if not root.exists(name):
        return {}
    lines = [line.partition("=") for line in root.text(name).splitlines() if "=" in line]
    return {key: value for key, _, value in lines}


def names_of(root, *steps, **settings):
    """Everything that the steps with these settings add to the root without them."""
    installed(root, *steps)
    before = root.contents()
    installed(root, *steps, **settings)
    during = root.contents()
    installed(root, *steps)
    after = root.contents()
    watched = ("/etc", "/opt", "/usr/lib", "/usr/local", "/home", "/var/lib")

    def differ(one, other):
        names = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
        return {name for name in names if name.startswith(watched)}

    assert differ(before, after) == set(), "left after the settings were taken back"
    return differ(before, during)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PROXY": "proxy:3128"}, "PROXY is 'proxy:3128'; it must be http://"),
        ({"PROXY": "http://proxy"}, "PROXY is 'http://proxy'"),
        ({"PROXY": 'http://a"b@proxy:1'}, "PROXY is"),
        ({"PROXY": PROXY, "NO_PROXY": "a.b,c'd"}, "NO_PROXY holds 'c'd'"),
        ({"CA_CERTIFICATES": "/in/none.pem"}, "'/in/none.pem', which is no file"),
        ({"CA_CERTIFICATES": "/in/one.pem,/in/text.pem"}, "/in/text.pem holds no certificate"),
        ({"CA_CERTIFICATES": "/in/key.pem"}, "/in/key.pem holds a private key"),
        ({"CA_CERTIFICATES": "/in/cut.pem"}, "a certificate in /in/cut.pem cannot be read"),
        ({"HOOK_JOB_STARTED": "/in"}, "HOOK_JOB_STARTED is '/in', which is no file"),
        ({"HOOK_JOB_COMPLETED": "/in/empty.sh"}, "which is no file with content"),
        ({"HOOK_JOB_COMPLETED": "/in/hook.py"}, "names end in .sh"),
        ({"ENVIRONMENT": "/in/none"}, "ENVIRONMENT is '/in/none', which is no file"),
        ({"ENVIRONMENT": "/in/no-variables"}, "line 2 of /in/no-variables is not NAME=VALUE"),
        ({"SETUP_SCRIPT": "/in/none"}, "SETUP_SCRIPT is '/in/none', which is no file"),
        ({"SETUP_SCRIPT": "/in/no-script"}, "does not begin with #!"),
        ({"ACTIONS_ARCHIVE": "/in/none"}, "there is no such folder"),
        ({"ACTIONS_ARCHIVE": "/in/no-archives"}, "holds no OWNER_REPOSITORY/COMMIT.tar.gz"),
        ({"ACTIONS_ARCHIVE": "/in/tags"}, "v4.tar.gz is not named by a whole commit"),
        ({"ACTIONS_ARCHIVE": "/in/damaged"}, "is damaged; fetch it again"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_changed(root, settings, said):
    before = root.tree()
    ended = root.install(**settings)
    assert ended.status == 1
    assert said in ended.output
    assert "nothing was changed" in ended.output
    assert root.tree() == before


def test_a_proxy_reaches_agent_jobs_packages_and_docker_and_goes_again(root):
    steps = ["proxy", "environment"]
    settings = {"PROXY": PROXY, "NO_PROXY": ".corp.example, nexus.corp.example", "DOCKER": "yes"}
    assert names_of(root, *steps, **settings) >= {f"/{ENV}", f"/{AGENT_ENVIRONMENT}"}
    installed(root, *steps, **settings)
    for found in (variables(root), variables(root, "etc/environment")):
        assert found["http_proxy"] == found["HTTPS_PROXY"] == PROXY
        assert found["no_proxy"] == found["NO_PROXY"]
        hosts = {"169.254.169.254", ".ec2.internal", ".vpce.amazonaws.com", "localhost"}
        hosts |= {".corp.example", "nexus.corp.example"}
        assert hosts <= set(found["no_proxy"].split(","))
    assert variables(root, AGENT_ENVIRONMENT)["https_proxy"] == PROXY
    said = root.run("apt-config", "dump").output
    assert f'Acquire::http::Proxy "{PROXY}";' in said
    assert 'Acquire::https::Proxy::nexus.corp.example "DIRECT";' in said
    assert "::.corp.example" not in said
    drop_in = root.text("etc/systemd/system/docker.service.d/proxy.conf")
    assert f"EnvironmentFile=/{AGENT_ENVIRONMENT}" in drop_in
    client = root / "home/runner/.docker/config.json"
    assert json.loads(client.read_text())["proxies"]["default"]["httpsProxy"] == PROXY
    assert client.stat().st_uid == (root / "home/runner").stat().st_uid
    installed(root, *steps)


def test_no_proxy_of_the_one_who_builds_means_nothing_without_a_proxy(root):
    assert "all is in order" in installed(root, "--check", NO_PROXY="!!")


PROXY_SERVER = """
import http.server
class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open("/srv/asked", "a").write(self.path + "\\n")
        data = open("/in/runner.tar.gz", "rb").read()
        self.send_response(200); self.end_headers(); self.wfile.write(data)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 3128), Proxy)
open("/srv/ready", "w")
server.serve_forever()
"""


def test_the_build_itself_uses_the_proxy(root):
    (root / "srv/server.py").write_text(PROXY_SERVER)
    (root / "opt/actions-runner/.version").unlink()
    script = """
        ip link set lo up
        python3 /srv/server.py & server=$!
        until [ -e /srv/ready ]; do sleep 0.1; done
        /ami/install runner; status=$?; kill $server; exit $status
    """
    settings = {**root.settings, "RUNNER_ARCHIVE": "http://mirror.example/runner.tar.gz"}
    ended = root.run("sh", "-c", script, network=False, PROXY="http://127.0.0.1:3128", **settings)
    assert ended.status == 0, ended.output
    assert root.text("srv/asked") == "http://mirror.example/runner.tar.gz\n"


def test_authorities_are_trusted_by_the_system_and_by_programs_with_lists_of_their_own(root):
    steps = ["authorities", "environment"]
    assert names_of(root, *steps, CA_CERTIFICATES="/in/both.pem")
    # from one file to another: the old ones go
    installed(root, *steps, CA_CERTIFICATES="/in/both.pem")
    found = variables(root)
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert {found[name] for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "PIP_CERT")} == {bundle}
    assert root.text(found["NODE_EXTRA_CA_CERTS"]).count("BEGIN CERTIFICATE") == 2
    # as the agent looks: by hash, in a folder
    verify = ["openssl", "verify", "-no-CAfile", "-CApath", "/etc/ssl/certs"]
    for name in ("one", "two"):
        assert root.run(*verify, f"/in/{name}.pem").status == 0
        assert root.run("openssl", "verify", "-CAfile", bundle, f"/in/{name}.pem").status == 0
    installed(root, *steps, CA_CERTIFICATES="/in/two.pem")
    assert root.run(*verify, "/in/one.pem").status != 0
    assert root.run(*verify, "/in/two.pem").status == 0
    installed(root, *steps)
    assert root.run(*verify, "/in/two.pem").status != 0


def test_hooks_are_named_to_the_runner(root):
    steps = ["hooks", "environment"]
    assert names_of(root, *steps, HOOK_JOB_STARTED="/in/started.sh")
    installed(root, *steps, HOOK_JOB_STARTED="/in/started.sh")
    found = variables(root)
    assert "ACTIONS_RUNNER_HOOK_JOB_COMPLETED" not in found
    hook = found["ACTIONS_RUNNER_HOOK_JOB_STARTED"]
    assert root.run("runuser", "-u", "runner", hook).output == "started\n"
    installed(root, *steps)


def test_variables_are_given_as_they_are_and_others_stay(root):
    (root / ENV).write_text("ImageOS=debian12\n")
    installed(root, "environment", ENVIRONMENT="/in/variables")
    assert variables(root) == {"ImageOS": "debian12", "TEAM": "a b=c", "REGION": "eu"}
    # a new runner keeps them
    (root / "opt/actions-runner/.version").unlink()
    installed(root, "runner")
    assert variables(root)["TEAM"] == "a b=c"
    installed(root, "environment")
    assert root.text(ENV) == "ImageOS=debian12\n"
    (root / ENV).unlink()


def test_the_script_is_run_as_root_and_its_failure_fails_the_build(root):
    assert "set up" in installed(root, "setup", SETUP_SCRIPT="/in/setup")
    assert root.text("etc/setup") == "0\n/\n"
    ended = root.install("setup", "clean", SETUP_SCRIPT="/in/failing")
    assert ended.status != 0
    assert "no license" in ended.output
    assert "SETUP_SCRIPT /in/failing ended with status 7" in ended.output
    assert "ami/install: clean" not in ended.output
    assert not list((root / "var/tmp").iterdir())


def test_archives_of_actions_are_where_the_runner_looks(root):
    steps = ["actions", "environment"]
    assert names_of(root, *steps, ACTIONS_ARCHIVE="/in/archives")
    installed(root, *steps, ACTIONS_ARCHIVE="/in/archives")
    folder = variables(root)["ACTIONS_RUNNER_ACTION_ARCHIVE_CACHE"]
    assert folder == "/opt/actionarchivecache"
    read = f"tar -xOzf {folder}/actions_checkout/{COMMIT}.tar.gz variables"
    assert "TEAM=" in root.run("runuser", "-u", "runner", "--", "sh", "-c", read).output
    assert not root.exists(f"{folder}/README")
    installed(root, *steps)


def test_a_second_run_with_all_of_it_changes_nothing(root):
    settings = {"PROXY": PROXY, "DOCKER": "yes", "CA_CERTIFICATES": "/in/both.pem",
                "HOOK_JOB_STARTED": "/in/started.sh", "HOOK_JOB_COMPLETED": "/in/started.sh",
                "ENVIRONMENT": "/in/variables", "ACTIONS_ARCHIVE": "/in/archives",
                "SWAP": "4"}  # fmt: skip
    steps = ["authorities", "store", "proxy", "hooks", "actions", "environment"]
    installed(root, *steps, **settings)
    before = root.contents()
    installed(root, *steps, **settings)
    assert root.contents() == before
