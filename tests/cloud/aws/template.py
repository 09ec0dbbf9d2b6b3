# SPDX-License-Identifier: MIT
"""Reads scaler/template.yaml, so that the stack that deploys is the stack that is tested.

`load` parses the YAML with CloudFormation's short forms (!Ref, !GetAtt, !Sub). `for_moto` makes the
copy that moto's CloudFormation creates, without what this package does itself. `Template` then
answers what the functions, event source mappings, rules and roles are, with every reference
resolved to the name that moto gave the resource.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

DEFAULT_PATH = Path(__file__).resolve().parents[3] / "scaler" / "template.yaml"

# The Lambda host and the pollers stand for these; moto would try Docker.
# It would also refuse by a bucket's policy without looking at the conditions.
OWN_TYPES = (
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.1 with CloudFormation's tags; dates such as 2012-10-17 stay text."""


def _tagged(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tagged)
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _partition(region: str) -> str:
    starts = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"}
    return next((name for start, name in starts.items() if region.startswith(start)), "aws")


@functools.cache
def load(path: Path = DEFAULT_PATH) -> dict[str, Any]:
    """Parse a template and expand short forms; the document is shared, do not change it."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)


def for_moto(document: dict[str, Any]) -> dict[str, Any]:
    """Copy a template as moto can make it.

    Moto's check stumbles over policies that CloudFormation made, and over a service as principal:
    roles get theirs from `open_policy` afterwards. Rules get no targets, because moto's envelope of
    an event lacks fields; `EventBus` delivers.
    """
    document = copy.deepcopy(document)
    document.pop("Outputs", None)
    resources = document["Resources"]
    for name in [name for name, one in resources.items() if one["Type"] in OWN_TYPES]:
        del resources[name]
    for resource in resources.values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::Events::Rule":
            properties.pop("Targets", None)
        if resource["Type"] == "AWS::IAM::Role":
            properties.pop("Policies", None)
            properties.pop("ManagedPolicyArns", None)
            for statement in properties["AssumeRolePolicyDocument"]["Statement"]:
                statement["Principal"] = {"AWS": "*"}
    return document


def open_policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """Write statements as moto can check them: the actions only.

    Moto compares Resource with "*" instead of with the call's resource; `Policies` does better. For
    SendMessageBatch it wants an action of that name, which AWS does not have.
    """
    opened = []
    for statement in statements:
        if statement["Effect"] != "Allow":
            continue
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else list(actions)
        if "sqs:SendMessage" in actions:
            actions.append("sqs:SendMessageBatch")
        if "sqs:ChangeMessageVisibility" in actions:
            actions.append("sqs:ChangeMessageVisibilityBatch")
        opened.append({"Effect": "Allow", "Action": actions, "Resource": "*"})
    return {"Version": "2012-10-17", "Statement": opened}


@dataclass(frozen=True)
class Function:
    """One AWS::Lambda::Function, references resolved."""

    logical_id: str
    name: str
    arn: str
    handler: str
    memory: int
    timeout: float
    role: str
    environment: dict[str, str]
    concurrency: int


@dataclass(frozen=True)
class Mapping:
    """One AWS::Lambda::EventSourceMapping: which function works on which queue."""

    logical_id: str
    queue_arn: str
    function: str
    batch_size: int
    concurrency: int
    reports_failures: bool


@dataclass(frozen=True)
class Queue:
    """One AWS::SQS::Queue."""

    logical_id: str
    name: str
    url: str
    arn: str
    dead_letter_arn: str = ""


@dataclass(frozen=True)
class Rule:
    """One AWS::Events::Rule with the ARNs of its targets."""

    logical_id: str
    name: str
    pattern: dict[str, Any]
    targets: tuple[str, ...]


Said = TypeVar("Said")


def _once(method: Callable[[Template], Said]) -> Callable[[Template], Said]:
    """Work out once what a method says of a template, which does not change."""

    @functools.wraps(method)
    def say(self: Template) -> Said:
        if method not in self._said:
            self._said[method] = method(self)
        return self._said[method]

    return say


_ABSENT = object()  # what AWS::NoValue resolves to: its key, or its place in a list, goes


def _typed(kind: str, value: Any) -> Any:
    """Give a parameter's value as the template sees it: a list where its type says so."""
    if kind.startswith("List<") or kind == "CommaDelimitedList":
        return [one.strip() for one in str(value).split(",")]
    return str(value)


class Template:
    """A parsed template together with the physical names of one stack of it."""

    def __init__(
        self,
        document: dict[str, Any],
        parameters: dict[str, str],
        physical: dict[str, str],
        region: str,
        account: str,
    ):
        self.document = document
        self.physical = physical
        self.region = region
        self.account = account
        self._said: dict[Any, Any] = {}
        defaults = {
            name: one["Default"] for name, one in document["Parameters"].items() if "Default" in one
        }
        given = {
            name: _typed(document["Parameters"][name]["Type"], value)
            for name, value in {**defaults, **parameters}.items()
        }
        self._values: dict[str, Any] = {
            **given,
            "AWS::Region": region,
            "AWS::AccountId": account,
            "AWS::Partition": _partition(region),
            "AWS::NoValue": _ABSENT,
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Give the properties of each resource of a type, unresolved, by logical id."""
        resources = self.document["Resources"]
        return {
            name: one.get("Properties", {})
            for name, one in resources.items()
            if one["Type"] == kind
        }

    def resolve(self, value: Any) -> Any:
        """Replace Ref, Fn::GetAtt, Fn::Sub, Fn::Join, Fn::FindInMap and Fn::If, at any depth."""
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not _ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (key, inner), *_ = value.items()
            if key == "Ref":
                return self._reference(inner)
            if key == "Fn::GetAtt":
                return self._attribute(*inner)
            if key == "Fn::Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda match: self._substitute(match[1]), inner)
            if key == "Fn::Join":
                return inner[0].join(self.resolve(inner[1]))
            if key == "Fn::FindInMap":
                table, first, second = self.resolve(inner)
                return self.document["Mappings"][table][first][second]
            if key == "Fn::If":
                return self.resolve(self._chosen(inner))
            if key.startswith("Fn::"):
                raise ValueError(f"the local cloud does not know {key}; teach Template.resolve")
        resolved = {key: self.resolve(inner) for key, inner in value.items()}
        return {key: inner for key, inner in resolved.items() if inner is not _ABSENT}

    def _chosen(self, choice: list[Any]) -> Any:
        condition, then, otherwise = choice
        return then if self.holds(self.document["Conditions"][condition]) else otherwise

    def is_made(self, name: str) -> bool:
        """Tell whether a stack with these parameters has a resource."""
        condition = self.document["Resources"][name].get("Condition")
        return condition is None or self.holds(self.document["Conditions"][condition])

    def holds(self, condition: dict[str, Any]) -> bool:
        """Tell whether a condition of the template is met."""
        ((key, inner),) = condition.items()
        if key == "Fn::Not":
            return not self.holds(inner[0])
        if key == "Fn::And":
            return all(self.holds(one) for one in inner)
        if key == "Fn::Equals":
            first, second = self.resolve(inner)
            return bool(first == second)
        raise ValueError(f"the local cloud does not know {key}; teach Template.holds")

    def _substitute(self, name: str) -> str:
        if "." in name:
            return self._attribute(*name.split(".", 1))
        return str(self._reference(name))

    def _reference(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if name in self.physical:
            return self.physical[name]
        raise ValueError(f"the template refers to {name}, which the stack does not have")

    def _attribute(self, name: str, attribute: str) -> str:
        if attribute == "FunctionUrl":
            return f"https://{self.physical[name].lower()}.lambda-url.{self.region}.on.aws/"
        if attribute != "Arn":
            raise ValueError(f"the local cloud does not know {name}.{attribute}")
        resource = self.document["Resources"][name]
        if resource["Type"] == "AWS::Logs::LogGroup":
            group = self.resolve(resource["Properties"]["LogGroupName"])
            return f"arn:aws:logs:{self.region}:{self.account}:log-group:{group}:*"
        shape = {
            "AWS::SQS::Queue": "sqs:{region}:{account}:{tail}",
            "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
            "AWS::IAM::Role": "iam::{account}:role/{name}",
            "AWS::IAM::InstanceProfile": "iam::{account}:instance-profile/{name}",
            "AWS::S3::Bucket": "s3:::{name}",
            "AWS::Events::Rule": "events:{region}:{account}:rule/{name}",
        }[resource["Type"]]
        physical = self.physical[name]
        tail = physical.rsplit("/", 1)[-1]
        where = {"region": self.region, "account": self.account, "name": physical, "tail": tail}
        return "arn:aws:" + shape.format(**where)

    @_once
    def queues(self) -> list[Queue]:
        """List the queues of the stack."""
        found = []
        for logical_id, properties in self.of_type("AWS::SQS::Queue").items():
            redrive = self.resolve(properties.get("RedrivePolicy", {}))
            url = self.physical[logical_id]
            arn = self._attribute(logical_id, "Arn")
            dead = redrive.get("deadLetterTargetArn", "")
            found.append(Queue(logical_id, url.rsplit("/", 1)[-1], url, arn, dead))
        return found

    @_once
    def mappings(self) -> list[Mapping]:
        """List the event source mappings."""
        found = []
        for logical_id, raw in self.of_type("AWS::Lambda::EventSourceMapping").items():
            properties = self.resolve(raw)
            scaling = properties.get("ScalingConfig", {})
            found.append(
                Mapping(
                    logical_id,
                    properties["EventSourceArn"],
                    properties["FunctionName"],
                    int(properties.get("BatchSize", 10)),
                    int(scaling.get("MaximumConcurrency", 4)),
                    "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
                )
            )
        return found

    @_once
    def functions(self) -> list[Function]:
        """List the functions; each may run as often as its mappings do together."""
        mappings = self.mappings()
        found = []
        for logical_id, raw in self.of_type("AWS::Lambda::Function").items():
            properties = self.resolve(raw)
            name = self.physical[logical_id]
            concurrency = sum(one.concurrency for one in mappings if one.function == name)
            environment = properties.get("Environment", {}).get("Variables", {})
            found.append(
                Function(
                    logical_id,
                    name,
                    self._attribute(logical_id, "Arn"),
                    properties["Handler"],
                    int(properties.get("MemorySize", 128)),
                    float(properties.get("Timeout", 3)),
                    raw["Role"]["Fn::GetAtt"][0],
                    {key: str(value) for key, value in environment.items()},
                    concurrency or 4,
                )
            )
        return found

    @_once
    def rules(self) -> list[Rule]:
        """List the rules that wait for events."""
        found = []
        for logical_id, properties in self.resolve(self.of_type("AWS::Events::Rule")).items():
            if "EventPattern" not in properties:
                continue  # a clock: the function that it starts is invoked by who wants that
            targets = tuple(target["Arn"] for target in properties["Targets"])
            found.append(Rule(logical_id, properties["Name"], properties["EventPattern"], targets))
        return found

    def url_function(self) -> str:
        """Name the function that has a URL."""
        (url,) = self.of_type("AWS::Lambda::Url").values()
        return self.resolve(url["TargetFunctionArn"]).rsplit(":", 1)[-1]

    def statements(self) -> dict[str, list[dict[str, Any]]]:
        """Give each role's policy statements, by the role's logical id."""
        managed = self.of_type("AWS::IAM::ManagedPolicy")
        found = {}
        for logical_id, properties in self.of_type("AWS::IAM::Role").items():
            policies = [one["PolicyDocument"] for one in properties.get("Policies", [])]
            attached = properties.get("ManagedPolicyArns", [])
            if "Fn::If" in attached:
                attached = self._chosen(attached["Fn::If"])
            for one in attached if isinstance(attached, list) else []:
                policies.append(managed[one["Ref"]]["PolicyDocument"])
            found[logical_id] = [
                statement for policy in policies for statement in self.resolve(policy["Statement"])
            ]
        return found
