# SPDX-License-Identifier: MIT
"""The JSON Schema that editors use and `scaler check` say the same about every document.

The scaler prints the schema from the same tables that the checker reads. Documents are made from
one that is valid: each field is left out, given values of every wrong type, and pushed to its
bounds and one beyond, all read from the schema; the formats, which the tables hold as patterns for
the schema and as code for the checker, have samples here. What only the checker can know is
listed in BEYOND_A_SCHEMA.
"""

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cloud.limits import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SCALER = ROOT / os.environ.get("BUILD", "build") / "bin" / "scaler"
SCHEMA_FILE = ROOT / "scaler/config/config.schema.json"
SCHEMA = json.loads(SCHEMA_FILE.read_text())
EXAMPLE = ROOT / "scaler/config/config.example.json"
MINIMAL = ROOT / "scaler/config/config.minimal.json"

Steps = tuple[str | int, ...]
GITHUB = ("github",)
SPEC = ("specs", 0)

VALID = {
    "$schema": "./config.schema.json",
    "prefix": "/scale-agent",
    "hand_over": "ssm",
    "max_machines": 100,
    "max_machines_per_repository": 20,
    "github": {
        "app_id": 12345,
        "additional_apps": [2, 3],
        "installations": [4711],
        "repositories": ["octo-org/*", "octo-org/again", "x/*"],
    },
    "specs": [
        {
            "name": "linux-x64",
            "labels": ["self-hosted", "linux", "x64"],
            "shared_labels": True,
            "unlabelled": False,
            "organization": "octo-org",
            "runner_group_id": 1,
            "instance_type": "m7i.large",
            "instance_types": ["m7i.2xlarge"],
            "launch_template": "scale-agent",
            "launch_template_version": "$Default",
            "subnets": ["subnet-0a1b2c3d"],
            "allocation": "price-capacity-optimized",
            "on_demand_fallback": False,
            "rerun": "default",
            "max_reruns": 1,
            "fork_pull_requests": "refuse",
            "terminate_on_completed": False,
            "job_metadata": False,
            "idle_limit_seconds": 300,
            "job_limit_seconds": 21600,
            "max_relaunches": 5,
            "max_machines": 50,
            "spot_losses_max": 3,
            "spot_window_seconds": 900,
            "tags": {"team": "ci"},
        }
    ],
}

# A spec without what needs shared_labels.
PLAIN = VALID["specs"][0] | {"shared_labels": False, "instance_types": []}

WRONG_TYPES: list[Any] = [
    *(None, True, 0, 1, 3.5, -1, 1e300, "", "x"),
    *([], [None], ["x"], {}, {"a": 1}),
]

# Values for formats, at the boundary of what is allowed. Which are valid, the two must agree on.
FORMATS: dict[Steps, list[Any]] = {
    ("prefix",): [
        "/", "/a", "a", "/a/", "//a", "/a//b", "/a b", "/a\n", "/Aws/x", "/awsome", "/x/aws",
        "/ssm", "/a" * 13, "/a" * 14, "/" + "a" * 199, "/" + "a" * 200, "/é", "/_.-",
    ],
    ("hand_over",): ["ssm", "s3", "", "S3", "s3\n", "efs", "ssm "],
    (*GITHUB, "app_id"): [
        "Iv1.8a61f9b3a7aba766", "Iv23liABC", "-1", ".", "1 2", "é", "a" * 64, "a" * 65, 1, 1.0,
        2**53 - 1, 2**53 + 2, "12345",
    ],
    (*GITHUB, "additional_apps"): [
        [], [2], ["2"], [2, 2], [0], [1.5], [2**53 - 1], [2**60], list(range(2, 11)),
        list(range(2, 12)), 2,
    ],
    (*GITHUB, "installations"): [[1, 2], [1, 1], [2, 2.0], [0], ["1"], [2**53 - 1], [2**60], [1.5]],
    (*GITHUB, "repositories"): [
        ["octo-org/a", "octo-org/b"], ["octo-org/*", "octo-org/*"], ["octo-org/"], ["octo-org"],
        ["/a"], ["octo-org/a/b", "octo-org/x"], ["octo-org/.", "octo-org/x"],
        ["octo-org/..", "octo-org/x"], ["octo-org/...", "octo-org/x"], ["octo-org/.github"],
        ["octo-org/a*", "octo-org/x"], ["*/*", "octo-org/x"], ["octo-org/a\n", "octo-org/x"],
        ["octo-org/é", "octo-org/x"], ["octo_org/a", "octo-org/x"], ["octo.org/a", "octo-org/x"],
    ],
    (*SPEC, "name"): ["a", "a b", "-a", "a-", ".a", "a\n", "é", "A.b_c-9", "9", "a" * 64, "a" * 65],
    (*SPEC, "labels"): [
        ["a", "a"], ["a", ""], ["a\n"], ["a\tb"], ["\x7f"], ["ä" * 256], ["ä" * 257], ["😀" * 256],
        ["with space"], [str(n) for n in range(98)], [str(n) for n in range(99)], ["\u0080"],
        ["run-1"], ["a", "RuN-"], ["run"], ["runner-1"], ["a run-1"],
    ],
    (*SPEC, "organization"): [
        "octo-org", "OCTO-ORG", "octo org", "octo/org", "octo-org\n", "octo.org", "é", "a" * 101,
    ],
    (*SPEC, "instance_type"): [
        "m7i.metal-24xl", "m7i.metal", "u-12tb1.112xlarge", "u7inh-32tb.480xlarge",
        "m7i-flex.large", "p6-b200.48xlarge", "x99zz.nano", "m7i", "m7i.", ".large", "m7i.lrage",
        "m7i.Large",
        "m7i.xxlarge", "m7i.12345xlarge", "m7i.metal-xl", "m7i.large.large", "m7i large",
        "7m.large", "m.large", "m7i.large\n", "a" * 25 + ".large", "a" * 26 + ".large", "m_7.large",
    ],
    (*SPEC, "instance_types"): [
        [], ["m7i.large"], ["m7i.large", "m7i.large"], ["m7i.lrage"],
        [f"m{n}zz.large" for n in range(100)], [f"m{n}zz.large" for n in range(101)],
    ],
    (*SPEC, "launch_template"): [
        "lt-0123456789abcdef0", "lt-", "lt-x", "lt-1", "ab", "abc", "a b", "a(1)/b.c_d-e", "abc\n",
        "a" * 128, "a" * 129, "LT-x",
    ],
    (*SPEC, "launch_template_version"): [
        "$Latest", "$default", "$Default\n", "1", "0", "01", "1" * 16, "1" * 17, "-1", 1, 0, 7.0,
        7.5, 2**53 - 1,
    ],
    (*SPEC, "subnets"): [
        ["subnet-1", "subnet-2"], ["subnet-1", "subnet-1"], ["subnet-"], ["subnet-A"], ["vpc-1"],
        ["subnet-1\n"], ["subnet-" + "a" * 57], ["subnet-" + "a" * 58], ["subnet-1 "],
    ],
    (*SPEC, "allocation"): [
        "ladder", "price-capacity-optimized", "capacity-optimized-prioritized", "Ladder", "",
        "capacity-optimized", "lowest-price", "ladder\n", "diversified",
    ],
    (*SPEC, "rerun"): ["never", "default", "Never", "on demand", "never\n", "always"],
    (*SPEC, "fork_pull_requests"): ["allow", "refuse", "Allow", "ask", "", "allow\n"],
    (*SPEC, "tags"): [
        {"a": ""}, {"": "a"}, {"a" * 128: "a"}, {"a" * 129: "a"}, {"a": "ä" * 256},
        {"a": "ä" * 257}, {"a": "b\n"}, {"a b": "c"}, {"a/b": "c"}, {"é": "c"},
        {"+-=.,_:@": "c"}, {"a\n": "c"},
        {"aws:a": "b"}, {"AWS:a": "b"}, {"aws": "b"}, {"scale-agent:a": "b"}, {"scale-agent": "b"},
        {"Name": "b"}, {"name": "b"}, {".": "b"}, {"..": "b"}, {"...": "b"}, {"_index": "b"},
        {"a": 1}, {"a": None},
        {f"k{n}": "v" for n in range(35)}, {f"k{n}": "v" for n in range(36)},
    ],
}  # fmt: skip

NUMBERS: list[Steps] = [
    (*SPEC, "runner_group_id"),
    (*SPEC, "max_reruns"),
    (*SPEC, "idle_limit_seconds"),
    (*SPEC, "job_limit_seconds"),
    (*SPEC, "max_relaunches"),
    (*SPEC, "max_machines"),
    ("max_machines",),
    ("max_machines_per_repository",),
    (*SPEC, "spot_losses_max"),
    (*SPEC, "spot_window_seconds"),
]

# (what, changes to VALID, where the fault is): the schema lets these pass, the checker must not.
BEYOND_A_SCHEMA: list[tuple[str, dict[Steps, Any], str]] = [
    ("two specs of one name", {("specs",): VALID["specs"] * 2}, "specs[1].name"),
    ("specs that share labels", {("specs",): [PLAIN, PLAIN | {"name": "other"}]},
     "specs[1].labels"),
    ("types that share labels", {(*SPEC, "shared_labels"): False}, "specs[0].instance_types"),
    ("the first App again", {(*GITHUB, "additional_apps"): [12345]},
     "github.additional_apps[0]"),
    ("an organization and an enterprise", {(*SPEC, "enterprise"): "octo-corp"},
     "specs[0].enterprise"),
    ("an organization that owns no repository", {(*SPEC, "organization"): "other"},
     "specs[0].organization"),
    ("re-runs on demand without launches on demand", {(*SPEC, "rerun"): "on-demand"},
     "specs[0].rerun"),
    ("types of two architectures", {(*SPEC, "instance_types"): ["m7g.large"]},
     "specs[0].instance_types[0]"),
    ("labels that differ in case only", {(*SPEC, "labels"): ["linux", "Linux"]},
     "specs[0].labels[1]"),
    ("repositories that differ in case only",
     {(*GITHUB, "repositories"): ["octo-org/a", "Octo-Org/A"]}, "github.repositories[1]"),
]  # fmt: skip


def end_only(value: Any) -> Any:
    r"""The schema with "$" as JSON Schema means it: Python's matches before a last \n too."""
    if isinstance(value, dict):
        return {
            key: re.sub(r"(?<!\\)\$", r"\\Z", item) if key == "pattern" else end_only(item)
            for key, item in value.items()
        }
    return [end_only(item) for item in value] if isinstance(value, list) else value


VALIDATOR = jsonschema.Draft202012Validator(end_only(SCHEMA))
REMOVE = object()


def changed(changes: dict[Steps, Any]) -> Any:
    document = copy.deepcopy(VALID)
    for steps, value in changes.items():
        if not steps:
            return value
        parent: Any = document
        for step in steps[:-1]:
            parent = parent[step]
        if value is REMOVE and isinstance(parent, dict):
            parent.pop(steps[-1], None)
        elif value is REMOVE:
            del parent[steps[-1]]
        else:
            parent[steps[-1]] = value
    return document


def check(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCALER, "check", "-"],
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def as_path(steps: Steps) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return path.removeprefix(".")


def fields(schema: dict[str, Any], steps: Steps = ()) -> Iterator[tuple[Steps, dict[str, Any]]]:
    """Every value that the schema describes, with the first spec for all of them."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | schema
    yield steps, schema
    for name, member in schema.get("properties", {}).items():
        yield from fields(member, (*steps, name))
    if schema.get("type") == "array":
        yield from fields(schema["items"], (*steps, 0))


FIELDS = list(fields(SCHEMA))


def cases() -> Iterator[tuple[str, Steps, Any]]:
    for steps, schema in FIELDS:
        name = as_path(steps) or "document"
        if steps:
            yield f"{name} missing", steps, REMOVE
        for value in WRONG_TYPES:
            yield f"{name} = {json.dumps(value)}", steps, value
        if "properties" in schema:
            yield f"{name} with an unknown key", (*steps, "surprise"), 1
        if schema.get("type") == "integer":
            for bound in ("minimum", "maximum"):
                for value in (schema[bound] - 1, schema[bound], schema[bound] + 1):
                    yield f"{name} = {value}", steps, value
    for steps, values in FORMATS.items():
        for number, value in enumerate(values):
            yield f"{as_path(steps)} sample {number}", steps, value
    for steps in NUMBERS:
        for value in (300.0, 300.5, "300", 2**63, -(2**63), 1e308):
            yield f"{as_path(steps)} = {value!r}", steps, value


CASES = list(cases())


@pytest.mark.parametrize(
    ("steps", "value"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_schema_and_checker_agree(steps: Steps, value: Any):
    changes = {steps: value}
    if steps == (*SPEC, "shared_labels"):  # or the types would be at fault as well
        changes[(*SPEC, "instance_types")] = []
    if steps == (*SPEC, "enterprise"):  # or the organization would be at fault as well
        changes[(*SPEC, "organization")] = REMOVE
    if steps == (*GITHUB, "app_id"):
        changes[(*GITHUB, "additional_apps")] = []
    document = changed(changes)
    errors = [error.message for error in VALIDATOR.iter_errors(document)]
    result = check(json.dumps(document))
    assert (result.returncode, result.stderr) == (2 if errors else 0, ""), (errors, result.stdout)
    if errors and steps:
        # The fault is where the change is, or (an element is missing, two are the same) beside it.
        near = as_path(steps[:-1] if isinstance(steps[-1], int) else steps)
        assert f"standard input: {near}" in result.stdout


@pytest.mark.parametrize(
    ("changes", "path"), [case[1:] for case in BEYOND_A_SCHEMA],
    ids=[case[0] for case in BEYOND_A_SCHEMA],
)  # fmt: skip
def test_checker_knows_more_than_a_schema(changes: dict[Steps, Any], path: str):
    document = changed(changes)
    assert VALIDATOR.is_valid(document)
    result = check(json.dumps(document))
    assert result.returncode == 2
    assert result.stdout.startswith(f"standard input: {path}: ")
    assert result.stdout.endswith("standard input: 1 fault\n")


def test_checker_refuses_keys_given_twice():
    text = json.dumps(VALID)
    assert VALIDATOR.is_valid(json.loads(text.replace('"prefix"', '"prefix": "/a", "prefix"')))
    for key in ("prefix", "app_id", "name", "team"):
        result = check(text.replace(f'"{key}":', f'"{key}": "other", "{key}":'))
        assert result.returncode == 2
        assert f"{key}: given twice" in result.stdout


def test_every_field_has_a_description():
    undescribed = [
        as_path(steps)
        for steps, schema in FIELDS
        if steps and isinstance(steps[-1], str) and "description" not in schema
    ]
    assert undescribed == []


def test_runner_groups_belong_to_organizations():
    no_organization = {(*SPEC, "organization"): REMOVE}
    for group, code in ((1, 0), (2, 2)):
        document = changed(no_organization | {(*SPEC, "runner_group_id"): group})
        assert VALIDATOR.is_valid(document) == (code == 0)
        assert check(json.dumps(document)).returncode == code


def test_enterprises_have_runner_groups_and_no_organization():
    in_enterprise = {(*SPEC, "organization"): REMOVE, (*SPEC, "enterprise"): "octo-corp"}
    for changes, code in (
        ({(*SPEC, "runner_group_id"): 7}, 0),
        ({(*SPEC, "enterprise"): "a b"}, 2),
    ):
        document = changed(in_enterprise | changes)
        assert VALIDATOR.is_valid(document) == (code == 0)
        assert check(json.dumps(document)).returncode == code


def test_additional_apps_need_a_first_one():
    for apps, code in (([], 0), ([2], 2)):
        document = changed({(*GITHUB, "app_id"): REMOVE, (*GITHUB, "additional_apps"): apps})
        assert VALIDATOR.is_valid(document) == (code == 0)
        assert check(json.dumps(document)).returncode == code


def test_schema_is_what_the_scaler_prints():
    result = subprocess.run([SCALER, "check", "--schema"], capture_output=True, timeout=PATIENCE)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == SCHEMA_FILE.read_bytes(), "`make schema` writes it"


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("file", "specs"), [(EXAMPLE, "3 specs"), (MINIMAL, "1 spec")])
def test_examples_are_valid(file, specs):
    result = subprocess.run(
        [SCALER, "check", file], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (result.returncode, result.stdout) == (0, f"{file}: valid: {specs}\n")
    assert VALIDATOR.is_valid(json.loads(file.read_text()))


def test_defaults_are_described_as_they_are():
    """What the schema calls a default, when written out, must be valid and nothing special."""
    defaults = {steps: schema["default"] for steps, schema in FIELDS if "default" in schema}
    assert len(defaults) == 18
    defaults[(*SPEC, "instance_types")] = []
    assert check(json.dumps(changed(defaults))).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "Usage: scaler check"),
        ([], 2, "Usage: scaler check"),
        (["--surprise"], 2, "Usage: scaler check"),
        (["a", "b"], 2, "Usage: scaler check"),
        (["--schema", "a"], 2, "Usage: scaler check"),
        (["/nowhere/config.json"], 1, "/nowhere/config.json"),
        (["/"], 1, "file / cannot be read"),
    ],
)
def test_command_line(arguments: list[str], code: int, words: str):
    result = subprocess.run(
        [SCALER, "check", *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert result.returncode == code
    assert words in (result.stderr if code else result.stdout)
