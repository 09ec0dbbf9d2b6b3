# SPDX-License-Identifier: MIT
"""The types on the ladders exist: `scaler ladder` held against EC2's own service model."""

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path

import botocore.session
import pytest

from cloud.limits import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SCALER = ROOT / os.environ.get("BUILD", "build") / "bin" / "scaler"

MODEL = botocore.session.get_session().get_service_model("ec2")
EXISTING = frozenset(MODEL.shape_for("InstanceType").enum)
ORDER = ["nano", "micro", "small", "medium", "large", "xlarge"]

# Intel and AMD families that stand in for each other.
PAIRS = {
    **{f"{kind}{n}i": f"{kind}{n}a" for kind in "mcr" for n in (6, 7, 8)},
    **{f"{kind}5": f"{kind}5a" for kind in "mcr"},
    **{f"{kind}5d": f"{kind}5ad" for kind in "mcr"},
    "t3": "t3a",
}
FLEX = {"m7i-flex", "c7i-flex", "m8i-flex", "c8i-flex", "r8i-flex"}
GRAVITON = {f"{kind}{n}g" for kind in "mcr" for n in (6, 7, 8)} | {"t4g"}
ALONE = {"c5n", "m5n", "m5zn", "r5b", "m6id", "m6in", "r7iz"}


def size_order(size: str) -> int:
    return ORDER.index(size) if size in ORDER else 100 + int(re.match(r"\d+", size).group())


def sizes(family: str) -> list[str]:
    """What EC2 has of a family, from small to large, without bare metal."""
    found = [name.partition(".")[2] for name in EXISTING if name.startswith(f"{family}.")]
    return sorted((size for size in found if not size.startswith("metal")), key=size_order)


@cache
def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCALER, "ladder", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def ladder(name: str) -> list[str]:
    result = run(name)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def expected(family: str, sibling: str | None, size: str) -> list[str]:
    """The rule, from EC2's model alone: the type, its sibling, the next larger, its sibling, …"""
    rungs = []
    for step in sizes(family):
        if size_order(step) >= size_order(size):
            rungs.append(f"{family}.{step}")
            if sibling and step in sizes(sibling):
                rungs.append(f"{sibling}.{step}")
    return rungs


def test_model_has_types():
    assert len(EXISTING) > 1000
    assert "m7i.large" in EXISTING


@pytest.mark.parametrize("intel", sorted(PAIRS))
def test_intel_and_amd_take_turns(intel: str):
    for family, sibling in ((intel, PAIRS[intel]), (PAIRS[intel], intel)):
        for size in sizes(family):
            assert ladder(f"{family}.{size}") == expected(family, sibling, size)


@pytest.mark.parametrize("family", sorted(GRAVITON | ALONE))
def test_families_that_climb_alone(family: str):
    for size in sizes(family):
        assert ladder(f"{family}.{size}") == expected(family, None, size)


@pytest.mark.parametrize("family", sorted(FLEX))
def test_flex_types_climb_as_their_whole_family(family: str):
    intel = family.removesuffix("-flex")
    for size in sizes(family):
        amd = f"{PAIRS[intel]}.{size}"
        rest = [rung for rung in expected(intel, PAIRS[intel], size) if rung != amd]
        assert ladder(f"{family}.{size}") == [f"{family}.{size}", amd, *rest]


@pytest.mark.parametrize("family", sorted({name.partition(".")[0] for name in EXISTING}))
def test_every_rung_exists(family: str):
    """The whole table: whatever family EC2 has, its smallest type leads to real types only."""
    for size in sizes(family)[:1]:
        result = run(f"{family}.{size}")
        if result.returncode == 2:
            assert f"no family {family} is known" in result.stderr
            return
        rungs = result.stdout.splitlines()
        assert rungs[0] == f"{family}.{size}"
        assert set(rungs) <= EXISTING
        own = [rung.partition(".")[2] for rung in rungs if rung.startswith(f"{family}.")]
        assert own == (sizes(family) if family not in FLEX else [size])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["m7x.large"], "m7x.large: no family m7x is known"),
        (["m7i.3xlarge"], "m7i has no size 3xlarge"),
        (["m7i.metal-24xl"], "m7i has no size metal-24xl"),
        (["large"], "large is no instance type; one looks like m7i.large"),
        (["m7i"], "m7i is no instance type"),
        ([""], "is no instance type"),
        (["../etc"], "is no instance type"),
        ([], "Usage: scaler ladder TYPE"),
        (["m7i.large", "m7i.large"], "Usage: scaler ladder TYPE"),
        (["--surprise"], "Usage: scaler ladder TYPE"),
    ],
)
def test_what_is_no_type_is_refused(arguments: list[str], words: str):
    result = subprocess.run(
        [SCALER, "ladder", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr


def test_what_a_fleet_is_asked_for():
    given = ("c8g.24xlarge", "--subnets", "subnet-1,subnet-2")
    types = ["c8g.24xlarge", "c8g.48xlarge"]
    lines = [f"{kind} {subnet}" for kind in types for subnet in ("subnet-1", "subnet-2")]
    assert run(*given).stdout.splitlines() == lines
    assert run(*given, "--allocation=price-capacity-optimized").stdout.splitlines() == lines
    found = run(*given, "--allocation=capacity-optimized-prioritized").stdout.splitlines()
    assert found == [f"{n // 2} {line}" for n, line in enumerate(lines)]
    found = json.loads(run(*given, "--allocation=ladder", "--json").stdout)
    assert (found["allocation"], found["ladder"]) == ("ladder", types)
    assert [f"{pool['instance_type']} {pool['subnet']}" for pool in found["pools"]] == lines
    assert run("c8g.24xlarge", "--allocation", "ladder").stdout.split() == types


def test_help():
    assert run("--help").stdout.startswith("Usage: scaler ladder TYPE ")
    assert run("--help").returncode == 0
