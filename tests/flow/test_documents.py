# SPDX-License-Identifier: MIT
"""What is written down twice agrees: the documents, the programs, the template, the simulation.

Whoever adds a handler, a queue, a variable or a command reads here where else it has to go.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from helpers import HANDLERS as TYPED

from cloud.aws import template
from cloud.limits import PATIENCE
from cloud.settings import BUILD

ROOT = template.DEFAULT_PATH.parents[1]
RESOURCES = template.load()["Resources"].values()
DOCUMENTS = [ROOT / "README.md", ROOT / "HACKING.md"]
DOCUMENTS += [*sorted(ROOT.glob("[a-z]*/README.md")), ROOT / "tests/sim/README.md"]


def properties(kind):
    return [one["Properties"] for one in RESOURCES if one["Type"] == kind]


def read(path):
    return (ROOT / path).read_text()


HANDLERS = {one["Handler"] for one in properties("AWS::Lambda::Function")}
QUEUES = {
    one["QueueName"]["Fn::Sub"].removeprefix("${Prefix}-")
    for one in properties("AWS::SQS::Queue")
}  # fmt: skip


@pytest.mark.parametrize("path", ["scaler/main.c", "tests/sim/lambda.c"])
def test_a_handler_is_in_each_table(path):
    found = re.findall(r'\{"(\w+)"[^{}]*\.handle', read(path))
    assert set(found) ^ HANDLERS == set(), f"not in both: {path} and scaler/template.yaml"


def test_a_queue_is_in_the_simulation():
    assert set(re.findall(r'QUEUE\("([a-z.-]+)"', read("tests/sim/sqs.c"))) ^ QUEUES == set()


def test_a_variable_of_a_function_is_explained():
    """In the manual page, and in the table of settings."""
    used = {
        name
        for one in properties("AWS::Lambda::Function")
        for name in one["Environment"]["Variables"]
    }
    command = [BUILD / "bin/scaler", "--man"]
    page = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    readme = read("scaler/README.md")
    for name in sorted(used):
        assert re.search(rf"(?<!\w){name}(?!\w)", page.stdout), f"{name}: scaler/main.c"
        assert f"`{name}`" in readme, f"{name}: scaler/README.md"


def rows(path, head):
    """The rows of the table that begins with this head, as lists of cells."""
    table = read(path).partition(f"\n{head}\n")[2].partition("\n\n")[0]
    return [line.split(" | ") for line in table.splitlines()[1:]]


def fields(schema, prefix=""):
    """Each field of the configuration, as the table names it, with its default."""
    for name, one in schema["properties"].items():
        if name == "specs":
            yield from fields(one["items"], ".")
        elif "properties" in one:
            yield from fields(one, f"{prefix}{name}.")
        elif not name.startswith("$"):
            yield f"{prefix}{name}", one.get("default")


def test_a_field_of_the_configuration_is_explained_with_its_default():
    defaults = {}
    for keys, default, *_ in rows("scaler/README.md", "| key | default | meaning |"):
        found = re.findall(r"`([^`]+)`", default) or [default]
        for name in re.findall(r"`([^`]+)`", keys):
            defaults[name] = found.pop(0) if len(found) > 1 else found[0]
    for name, default in fields(json.loads(read("scaler/config/config.schema.json"))):
        assert name in defaults, f"{name}: scaler/README.md"
        if default not in (None, [], {}):
            text = default if isinstance(default, str) else json.dumps(default)
            assert defaults[name] == text, name


def test_a_handler_is_expected_on_the_command_line():
    """`recover` is a command there."""
    assert set(TYPED) ^ HANDLERS == {"recover"}


def test_a_handler_is_explained():
    table = rows("scaler/README.md", "| handler | comes from | does |")
    assert {cells[0].strip("| `") for cells in table} ^ HANDLERS == set()


def test_the_readme_counts_what_the_stack_has():
    text = read("README.md")
    assert "eleven small Lambda functions" in text and len(HANDLERS) == 11
    assert f"{len(properties('AWS::CloudWatch::Alarm'))} alarms" in " ".join(text.split())


def anchors(path):
    """The anchors that GitHub gives to headings."""
    heads = re.findall(r"^#+ (.*)", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert Path(target).exists(), link
        assert not anchor or anchor in anchors(target), link
