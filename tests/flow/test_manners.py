# SPDX-License-Identifier: MIT
"""Manners of the command line: help, manual pages and completion agree; machines get JSON."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from helpers import HANDLERS
from person import owner_environment

from cloud.limits import PATIENCE
from cloud.settings import BUILD

PROGRAMS = BUILD / "bin"
COMPLETION = Path(__file__).resolve().parents[2] / "scaler" / "completion"
EXAMPLE = COMPLETION.parent / "config/config.example.json"


def run(*command, **options):
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, timeout=PATIENCE, check=False, **options,
    )  # fmt: skip


def scaler(*arguments, **options):
    return run(PROGRAMS / "scaler", *arguments, **options)


def words(*command):
    """The words that a program has for completion, with what they mean."""
    lines = run(*command).stdout.splitlines()
    return dict(line.split("\t", 1) for line in lines)


def commands():
    return [w for w in words(PROGRAMS / "scaler", "--words") if w[0] != "-" and w not in HANDLERS]


def pages():
    """Every help text with the options that complete."""
    yield ["runner-agent"], ["runner-agent"]
    yield ["scaler"], ["scaler"]
    for command in commands():
        yield ["scaler", command], ["scaler", command]


def shown_by_man(program):
    page = run(PROGRAMS / program, "--man").stdout
    shown = run("mandoc", "-Tascii", input=page).stdout
    return re.sub(r".\x08", "", shown)


# -- help, manual page and completion --------------------------------------------------------------


def test_help_names_every_option_and_exit_code():
    for (program, *command), _ in pages():
        help_text = run(PROGRAMS / program, *command, "--help")
        assert (help_text.returncode, help_text.stderr) == (0, "")
        assert help_text.stdout.startswith(f"Usage: {' '.join([program, *command])} ")
        assert re.search(r"^Exit status: 0 ", help_text.stdout, re.MULTILINE)
        assert max(map(len, help_text.stdout.splitlines())) <= 80
        for word in words(PROGRAMS / program, "--words", *command):
            if word.startswith("--"):
                assert f"\n  {word.replace('=', ' ')}" in help_text.stdout


@pytest.mark.parametrize("program", ["scaler", "runner-agent"])
def test_manual_page_has_all_that_help_has(program):
    page = "".join(shown_by_man(program).split()).lower()
    helps = [[], *([c] for c in commands())] if program == "scaler" else [[]]
    for command in helps:
        for word, text in words(PROGRAMS / program, "--words", *command).items():
            assert word.replace("=", "").lower() in page
            assert text == "this text" or "".join(text.split()).lower() in page


@pytest.mark.parametrize("program", ["scaler", "runner-agent"])
def test_groff_has_no_warning(program):
    page = run(PROGRAMS / program, "--man").stdout
    done = run("groff", "-man", "-Tutf8", "-ww", "-z", input=page)
    assert (done.returncode, done.stderr) == (0, "")


# -- completion ------------------------------------------------------------------------------------


def completed_by_bash(folder, *line):
    """What bash offers for the last word of a line, as its own machinery would ask."""
    split = [part for word in line for part in re.split("(=)", word) if part or not word]
    script = f"""
    source {COMPLETION}/bash
    PATH={PROGRAMS}:$PATH
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    function=$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    "$function" "$1" "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
    if [ "${{#COMPREPLY[@]}}" -gt 0 ]; then printf '%s\\n' "${{COMPREPLY[@]}}"; fi
    """
    done = run("bash", "--norc", "-uc", script, "bash", *split, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").touch()
    (tmp_path / "webcam").touch()
    return tmp_path


def test_bash_offers_what_there_is(folder):
    first = completed_by_bash(folder, "scaler", "")
    assert first == [*HANDLERS, *commands(), "--help", "--version"]
    assert completed_by_bash(folder, "scaler", "que") == ["queued"]
    assert completed_by_bash(folder, "scaler", "--v") == ["--version"]
    assert completed_by_bash(folder, "scaler", "retry", "--d") == ["--dry-run"]
    assert completed_by_bash(folder, "scaler", "retry", "--queue", "") == []
    assert completed_by_bash(folder, "scaler", "ladder", "l") == []
    assert completed_by_bash(folder, "scaler", "dance", "") == []


def test_bash_offers_files_where_files_are_meant(folder):
    assert completed_by_bash(folder, "scaler", "check", "con") == ["config.json"]
    assert completed_by_bash(folder, "scaler", "check", "--json", "w") == ["webcam"]
    assert completed_by_bash(folder, "runner-agent", "--config", "c") == ["config.json"]
    assert completed_by_bash(folder, "runner-agent", "--config=c") == ["config.json"]
    assert "webcam" in completed_by_bash(folder, "runner-agent", "--config=")
    assert completed_by_bash(folder, "runner-agent", "--no") == ["--no-shutdown"]


def completed_by_zsh(*line):
    """What zsh would describe: its own helpers are replaced by ones that print."""
    script = f"""
    path=({PROGRAMS} $path)
    _describe() {{ print -l -- ${{(P)2}} }}
    _files() {{ print FILES }}
    _message() {{ print MESSAGE $1 }}
    words=("$@")
    CURRENT=$#
    complete_it() {{ {(COMPLETION / "zsh").read_text()} }}
    complete_it
    """
    done = run("zsh", "-fc", script, "zsh", *line)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_zsh_offers_the_same_with_what_it_means():
    first = completed_by_zsh("scaler", "")
    assert [line.split(":")[0] for line in first] == [*HANDLERS, *commands(), "--help", "--version"]
    assert "ladder:print the failover order from an instance type" in first
    assert completed_by_zsh("scaler", "check", "")[0].startswith("FILES")
    assert completed_by_zsh("runner-agent", "--config", "") == ["FILES"]
    assert completed_by_zsh("scaler", "retry", "--queue", "") == ["MESSAGE URL"]
    assert completed_by_zsh("scaler", "ladder", "")[0] == "MESSAGE TYPE"


# -- JSON ------------------------------------------------------------------------------------------


def test_check_tells_machines(tmp_path):
    good = scaler("check", "--json", EXAMPLE)
    assert (good.returncode, json.loads(good.stdout)) == (
        0, {"file": str(EXAMPLE), "valid": True, "specs": 3, "faults": []},
    )  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text('{"github":{"repositories":["x"]}}')
    bad = scaler("check", path, "--json")
    answer = json.loads(bad.stdout)
    assert (bad.returncode, answer["valid"]) == (2, False)
    plain = scaler("check", path).stdout.splitlines()
    assert [f"{path}: {f['path']}: {f['text']}" for f in answer["faults"]] == plain[:-1]


def test_ladder_tells_machines():
    done = scaler("ladder", "--json", "m7i.large")
    plain = scaler("ladder", "m7i.large").stdout.split()
    assert json.loads(done.stdout) == {"type": "m7i.large", "ladder": plain}


def test_wrong_usage_says_what_is_wrong():
    for arguments, text in [
        (["check"], "scaler check: FILE is missing"),
        (["ladder", "a", "b"], 'scaler ladder: unexpected argument "b"'),
        (["retry", "--dry-run"], "scaler retry: --dry-run: of what? Add --all or --job ID"),
        (["retry", "--all", "--job", "7"], "scaler retry: --all and --job exclude each other"),
        (["retry", "--job", "7a"], 'scaler retry: --job: "7a" is not the number of a job'),
        (["retry", "--job", "0"], 'scaler retry: --job: "0" is not the number of a job'),
        (["retry", "--job", ""], 'scaler retry: --job: "" is not the number of a job'),
        (["retry", "--queue"], "scaler retry: option '--queue' requires an argument"),
    ]:
        done = scaler(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"{text}\nUsage: scaler {arguments[0]} ")


def test_retry_tells_machines(stage, run_scaler):
    source = stage.queue("QueuedQueue").arn
    kept = stage.queue("KeptLetters")
    text = {"DataType": "String"}
    for body, attributes in [
        (json.dumps({"action": "queued"}), {"source": source, "cause": "EC2 said no"}),
        ("who knows", {}),
    ]:
        stage.client("sqs").send_message(
            QueueUrl=kept.url, MessageBody=body,
            MessageAttributes={n: text | {"StringValue": v} for n, v in attributes.items()},
        )  # fmt: skip
    done = run_scaler(
        "retry", "--all", "--dry-run", "--json",
        **owner_environment(stage), KEPT_QUEUE_URL=kept.url,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["dry_run"]) == (1, True)
    assert (answer["moved"], answer["stay"], len(answer["letters"])) == (1, 1, 2)
    good, bad = sorted(answer["letters"], key=lambda letter: "error" in letter)
    assert (good["queue"], good["cause"]) == (source.rsplit(":", 1)[1], "EC2 said no")
    assert "no attribute `source`" in bad["error"]
