# SPDX-License-Identifier: MIT
"""scaler setup: secrets are asked for, tried at GitHub and stored; nothing else is changed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import termios

import pytest
from person import other_key, owner_environment

from cloud.limits import PATIENCE, until

URL = "https://example.lambda-url.eu-central-1.on.aws/"
KEY = "/scale-agent/github/private-key"
SECRET = "/scale-agent/github/webhook-secret"
CONFIG = "/scale-agent/config"
TEAMS = "/scale-agent/notify/teams-webhook-urls"


@pytest.fixture
def fresh(stage):
    """A stack that nobody has set up."""
    names = [KEY, SECRET, CONFIG]
    stage.client("ssm").delete_parameters(Names=names)
    return stage


@pytest.fixture
def environment(stage):
    return owner_environment(stage) | {"GITHUB_API_URL": stage.github.api_url}


@pytest.fixture
def key_file(stage, tmp_path):
    path = tmp_path / "app.pem"
    path.write_text(stage.github.private_key)
    return str(path)


@pytest.fixture
def config_file(stage, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(stage.config))
    return str(path)


@pytest.fixture
def setup(stage, run_scaler, environment, key_file):
    """Run `scaler setup` without a terminal; no secret may be in what it prints."""

    def run(*options, **settings):
        before = list(stored(stage).values())
        done = run_scaler("setup", *options, **(environment | settings))
        secrets = [*before, *stored(stage).values(), *settings.values()]
        secrets = [s for s in secrets if s and not s.startswith(("{", "http", "file:"))]
        for secret in secrets:
            assert secret.split("\n")[0] not in done.stdout + done.stderr or "BEGIN" in secret
        assert "PRIVATE KEY---" not in done.stdout + done.stderr
        assert stage.github.violations == []
        return done

    return run


def stored(stage):
    found = stage.client("ssm").get_parameters_by_path(
        Path="/scale-agent", Recursive=True, WithDecryption=True
    )["Parameters"]
    assert all(one["Type"] == "SecureString" for one in found)
    return {one["Name"]: one["Value"] for one in found}


# -- several Apps, and an enterprise ---------------------------------------------------------------


@pytest.fixture
def second(fresh):
    """Add a second App, and its key to none but the configuration's reader."""
    app = fresh.github.add_app(67890)
    fresh.config["github"]["additional_apps"] = [67890]
    return app


@pytest.fixture
def app_keys(second, tmp_path):
    place = tmp_path / "67890" / "private-key"
    place.parent.mkdir()
    place.write_text(second.private_key)
    return f"file:{tmp_path}"


@pytest.fixture
def given(fresh, second, tmp_path, key_file):
    path = tmp_path / "two.json"
    path.write_text(json.dumps(fresh.config))
    return ("--key-file", key_file, "--config", str(path), "--generate-secret")


SECOND_KEY = "/scale-agent/github/apps/67890/private-key"


def test_the_key_of_an_additional_app_is_verified_and_stored(fresh, setup, given, second, app_keys):
    done = setup(*given, GITHUB_APP_KEYS=app_keys)
    assert (done.returncode, done.stderr) == (0, "")
    assert stored(fresh)[SECOND_KEY] == second.private_key.rstrip("\n")
    assert "ok: GitHub accepts the additional App 67890: scale-agent-67890" in done.stdout
    assert "to do: App" not in done.stdout and "to do: install App" not in done.stdout
    order = [call.parameters["Name"] for call in fresh.calls.of("ssm", "PutParameter")]
    assert order.index(SECOND_KEY) < order.index(CONFIG)
    # it is stored now
    assert setup(*given, "--yes").returncode == 0


def test_what_is_left_to_do_for_an_additional_app_is_said(fresh, setup, given, second, app_keys):
    second.installations.clear()
    fresh.github.webhooks_of(second).url = URL
    done = setup(*given, GITHUB_APP_KEYS=app_keys)
    assert done.returncode == 0
    assert "to do: install App 67890 where the first one is" in done.stdout
    assert f"to do: App 67890 delivers to {URL}: GitHub, the additional App's" in done.stdout


@pytest.mark.parametrize("how", ["no key", "another key", "no permission"])
def test_an_additional_app_that_cannot_register_is_refused(
    fresh, setup, given, second, app_keys, tmp_path, how
):
    keys = {"GITHUB_APP_KEYS": app_keys}
    words = "the private key does not belong to this App"
    if how == "no key":
        keys, words = {}, "Private key file of App 67890 (.pem) is missing"
    elif how == "another key":
        (tmp_path / "67890" / "private-key").write_text(other_key())
    else:
        second.permissions["administration"] = "read"
        words = "additional App 67890 lacks administration: write"
    done = setup(*given, **keys)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert stored(fresh) == {}


def test_the_first_app_under_its_other_id_is_refused(fresh, setup, key_file, tmp_path):
    fresh.config["github"] |= {"app_id": "Iv23liLocalCloud0001", "additional_apps": [12345]}
    place = tmp_path / "12345" / "private-key"
    place.parent.mkdir()
    place.write_text(fresh.github.private_key)
    path = tmp_path / "two.json"
    path.write_text(json.dumps(fresh.config))
    given = ("--key-file", key_file, "--config", str(path), "--generate-secret")
    done = setup(*given, GITHUB_APP_KEYS=f"file:{tmp_path}")
    assert "additional App 12345 is the first one" in done.stderr
    assert done.returncode == 1
    assert stored(fresh) == {}


def test_the_token_of_an_enterprise_is_verified_and_stored(fresh, setup, key_file, tmp_path):
    fresh.config["specs"][0]["enterprise"] = "octo-corp"
    path = tmp_path / "enterprise.json"
    path.write_text(json.dumps(fresh.config))
    given = ("--key-file", key_file, "--config", str(path), "--generate-secret")
    done = setup(*given, GITHUB_ENTERPRISE_TOKEN=fresh.github.personal_token)
    assert done.returncode == 1
    assert "GitHub takes neither an App nor a fine-grained token" in done.stderr
    token = fresh.github.doorman.enterprise_token
    done = setup(*given, GITHUB_ENTERPRISE_TOKEN=token)
    assert (done.returncode, done.stderr) == (0, "")
    assert "may administer the runners of enterprise octo-corp" in done.stdout
    assert stored(fresh)["/scale-agent/github/enterprise-token"] == token


# -- without a terminal ----------------------------------------------------------------------------


def test_all_is_given(fresh, setup, key_file, config_file):
    done = setup(
        "--key-file", key_file, "--config", config_file, "--webhook-url", URL,
        GITHUB_WEBHOOK_SECRET="hushhush", TEAMS_WEBHOOK_URLS="https://teams.example.com/x",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert stored(fresh) == {
        KEY: fresh.github.private_key.rstrip("\n"),
        SECRET: "hushhush",
        CONFIG: json.dumps(fresh.config),
        TEAMS: "https://teams.example.com/x",
    }
    assert "ok: GitHub accepts App 12345: scale-agent of octo-org" in done.stdout
    assert "ok: it has administration: write, actions: read, event workflow_job" in done.stdout
    assert "to do: it lacks" not in done.stdout
    assert f"Webhook URL     {URL}" in done.stdout
    assert "teams.example.com" not in done.stdout
    assert "app_id" not in done.stdout


def test_what_an_app_can_do_without_is_said(fresh, setup, key_file, config_file):
    fresh.github.doorman.permissions["actions"] = "read"
    done = setup("--key-file", key_file, "--config", config_file, "--generate-secret", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "to do: it lacks actions: write; without it, jobs that are lost" in done.stdout


def test_a_key_of_our_own_encrypts_what_is_stored(fresh, setup, key_file, config_file):
    key = "arn:aws:kms:eu-central-1:123456789012:key/0123"
    options = ("--key-file", key_file, "--config", config_file, "--generate-secret")
    for given in (key, ""):
        done = setup(*options, "--yes", PARAMETER_KMS_KEY=given)
        assert (done.returncode, done.stderr) == (0, "")
        stored_last = fresh.calls.of("ssm", "PutParameter")[-1].parameters
        assert stored_last.get("KeyId", "") == given


def test_then_the_doctor_is_content(fresh, setup, key_file, config_file, run_scaler, environment):
    done = setup(
        "--key-file", key_file, "--config", config_file, "--webhook-url", URL,
        "--generate-secret", "--set-webhook",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (fresh.github.webhooks.url, fresh.github.webhook_secret) == (URL, stored(fresh)[SECRET])
    doctor = run_scaler("doctor", **environment)
    assert (doctor.returncode, "failed " in doctor.stdout) == (0, False)


def test_without_a_configuration_it_says_what_to_paste_there(fresh, setup, key_file):
    done = setup("--app-id", "12345", "--key-file", key_file, GITHUB_WEBHOOK_SECRET="hushhush")
    assert done.returncode == 0
    assert set(stored(fresh)) == {KEY, SECRET}
    assert 'needs "github": {"app_id": "12345", ...}' in done.stdout
    assert "the stack's output WebhookUrl" in done.stdout


def test_a_generated_secret_is_not_printed(fresh, setup, key_file):
    done = setup("--app-id", "12345", "--key-file", key_file, "--generate-secret")
    assert done.returncode == 0
    assert re.fullmatch("[0-9a-f]{64}", stored(fresh)[SECRET])
    assert f"aws ssm get-parameter --with-decryption --name {SECRET}" in done.stdout


def test_what_is_missing_is_named_by_its_option(fresh, setup, key_file):
    for options, words in [
        ([], "--app-id"),
        (["--app-id", "12345"], "--key-file"),
        (["--app-id", "12345", "--key-file", key_file], "--generate-secret"),
    ]:
        done = setup(*options)
        assert done.returncode == 2
        assert words in done.stderr
        assert "there is no terminal" in done.stderr
        assert "Nothing was changed." in done.stderr
    assert stored(fresh) == {}


def test_what_exists_stays(stage, setup):
    before = stored(stage)
    done = setup()
    assert (done.returncode, done.stderr) == (0, "")
    for name in (KEY, SECRET, CONFIG):
        assert f"{name} exists\n" in done.stdout
    assert "stored" not in done.stdout.replace("is stored now", "")
    assert stored(stage) == before


def test_what_exists_is_replaced_only_when_told(stage, setup):
    old = stored(stage)
    done = setup(GITHUB_WEBHOOK_SECRET="sesame")
    assert done.returncode == 2
    assert f"{SECRET} exists with another value: --yes replaces it" in done.stderr
    assert stored(stage) == old
    done = setup("--yes", GITHUB_WEBHOOK_SECRET="sesame")
    assert done.returncode == 0
    assert stored(stage) == old | {SECRET: f"sesame\n{old[SECRET]}"}
    done = setup(GITHUB_WEBHOOK_SECRET="sesame")
    assert (done.returncode, f"stored {SECRET}" in done.stdout) == (0, False)


# -- what GitHub does not accept -------------------------------------------------------------------


def refused(stage, setup, *options, **settings):
    before = stored(stage)
    done = setup("--yes", *options, GITHUB_WEBHOOK_SECRET="sesame", **settings)
    assert done.returncode == 1
    assert done.stderr.endswith("Nothing was changed.\n")
    assert stored(stage) == before
    return done.stderr


def test_a_key_of_another_app(stage, setup, tmp_path):
    path = tmp_path / "other.pem"
    path.write_text(other_key())
    told = refused(stage, setup, "--key-file", str(path))
    assert "the private key does not belong to this App" in told


def test_a_key_that_is_none(stage, setup, tmp_path):
    path = tmp_path / "other.pem"
    path.write_text("-----BEGIN PUBLIC KEY-----\nswordfish\n")
    told = refused(stage, setup, "--key-file", str(path))
    assert "the private key is a public key" in told
    assert "swordfish" not in told


def test_a_key_file_that_is_not_there(stage, setup):
    assert "file /nowhere.pem does not exist" in refused(stage, setup, "--key-file", "/nowhere.pem")


def test_another_app(stage, setup):
    assert "check the App id" in refused(stage, setup, "--app-id", "99")


def test_an_app_without_permission_or_event(stage, setup):
    doorman = stage.github.doorman
    doorman.events.clear()
    assert "lacks event workflow_job: GitHub, the App's settings" in refused(stage, setup)
    del doorman.permissions["administration"]
    assert "lacks administration: write, event workflow_job" in refused(stage, setup)


def test_an_app_that_may_register_no_runners(fresh, setup, key_file):
    for name in ("administration", "organization_self_hosted_runners"):
        del fresh.github.doorman.permissions[name]
    told = refused(fresh, setup, "--app-id", "12345", "--key-file", key_file)
    assert "may register no runners" in told


def test_github_that_does_not_answer(stage, setup):
    assert "get App" in refused(stage, setup, GITHUB_API_URL="https://127.0.0.1:1")


def test_aws_that_refuses(stage, setup, run_scaler, environment):
    done = run_scaler("setup", **(environment | {"AWS_ACCESS_KEY_ID": ""}))
    assert (done.returncode, "AWS_ACCESS_KEY_ID is not set" in done.stderr) == (1, True)
    session = stage.assume("NotifyRole", "person")
    told = refused(
        stage, setup, AWS_ACCESS_KEY_ID=session["AccessKeyId"], AWS_SESSION_TOKEN=session["Token"],
        AWS_SECRET_ACCESS_KEY=session["SecretAccessKey"],
    )  # fmt: skip
    assert "allow ssm:GetParameters" in told


def test_a_configuration_with_a_fault_or_of_another_app(fresh, setup, key_file, tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"github":{}}')
    options = ["--key-file", key_file, "--config", str(path), "--generate-secret"]
    done = setup(*options)
    assert (done.returncode, "github.repositories" in done.stderr) == (2, True)
    path.write_text(json.dumps(fresh.config | {"prefix": "/other"}))
    assert "its prefix is /other, and --prefix is /scale-agent" in setup(*options).stderr
    path.write_text(json.dumps(fresh.config))
    assert "--app-id is 99" in setup(*options, "--app-id", "99").stderr
    assert stored(fresh) == {}


# -- at a terminal ---------------------------------------------------------------------------------


class Terminal:
    """A person who answers questions at a terminal, and all that they saw."""

    def __init__(self, program, environment, *arguments):
        self.seen = ""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(program, [str(program), *arguments], environment)

    def read(self):
        """Read what is there next; False at the end."""
        assert select.select([self.terminal], [], [], PATIENCE)[0], self.seen
        try:
            self.seen += os.read(self.terminal, 4096).decode()
        except OSError:
            return False
        return True

    def answer(self, question, text):
        while question not in self.seen or not self.seen.endswith(": "):
            assert self.read(), self.seen
        if "hidden" in self.seen.splitlines()[-1]:  # what is typed before it is quiet gets lost
            assert until(lambda: not termios.tcgetattr(self.terminal)[3] & termios.ECHO)
        os.write(self.terminal, text.encode())

    def end(self):
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def terminal(local_cloud, environment):
    made = []

    def start(*arguments):
        made.append(Terminal(local_cloud.programs / "scaler", environment, *arguments))
        return made[-1]

    yield start
    for one in made:
        try:
            os.kill(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_a_person_is_asked(fresh, terminal, key_file):
    person = terminal("setup", "--webhook-url", URL)
    person.answer("GitHub App id or client id: ", "12345\n")
    person.answer("Private key file (.pem): ", f"{key_file}\n")
    person.answer("Webhook secret (hidden; empty: make one): ", "hushx\x7fhush\n")
    person.answer("Teams webhook URL (hidden; empty: none): ", "https://teams/secret\n")
    person.answer("Slack webhook URL (hidden; empty: none): ", "\n")
    person.answer("Set URL and secret of the App's webhook at GitHub now? [Y/n]: ", "\n")
    assert person.end() == 0, person.seen
    assert stored(fresh) == {
        KEY: fresh.github.private_key.rstrip("\n"),
        SECRET: "hushhush",
        TEAMS: "https://teams/secret",
    }
    assert (fresh.github.webhooks.url, fresh.github.webhook_secret) == (URL, "hushhush")
    assert "hushhush" not in person.seen and "hushx" not in person.seen
    assert "teams/secret" not in person.seen


def test_a_secret_can_be_made_for_a_person(fresh, terminal, key_file):
    person = terminal("setup", "--app-id", "12345", "--key-file", key_file)
    person.answer("Webhook secret (hidden; empty: make one): ", "\n")
    person.answer("Make a webhook secret? [Y/n]: ", "y\n")
    person.answer("Teams", "\n")
    person.answer("Slack", "\n")
    person.answer("at GitHub now? [Y/n]: ", "n\n")
    assert person.end() == 0, person.seen
    assert len(stored(fresh)[SECRET]) == 64
    assert stored(fresh)[SECRET] not in person.seen
    assert "to do: GitHub, the App's settings, Webhook:" in person.seen


def test_a_person_decides_what_is_replaced(stage, terminal):
    before = stored(stage)
    for answer, expected in (("n\n", before[SECRET]), ("y\n", f"fresh\n{before[SECRET]}")):
        person = terminal("setup")
        person.answer("Private key file (.pem; empty: the one that is stored): ", "\n")
        person.answer("Webhook secret (hidden; empty: the one that is stored): ", "fresh\n")
        person.answer("Teams", "\n")
        person.answer("Slack", "\n")
        person.answer(f"Replace {SECRET}? [y/N]: ", answer)
        person.answer("at GitHub now? [Y/n]: ", "n\n")
        assert person.end() == 0, person.seen
        assert stored(stage) == before | {SECRET: expected}
        assert "fresh" not in person.seen


@pytest.mark.parametrize(("key", "words"), [("\x03", "cancelled"), ("\x04", "the input ended")])
def test_a_person_may_leave(fresh, terminal, key_file, key, words):
    person = terminal("setup", "--app-id", "12345", "--key-file", key_file)
    person.answer("Webhook secret (hidden; empty: make one): ", f"hush{key}")
    assert person.end() in (1, 2)
    assert words in person.seen
    assert "Nothing was changed." in person.seen
    assert stored(fresh) == {}
