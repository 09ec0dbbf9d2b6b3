# SPDX-License-Identifier: MIT
"""IAM as the template writes it: which role may do what, on which resource, and when.

Moto checks that a role's policies name the action. This module checks the rest: the resource, and
the conditions that keep a machine to its own parameter, its own reports, and the scaler to its own
instances. A condition whose key the resource does not have is not met, as in AWS: a machine that
reads a parameter before it exists is refused, and not told that it does not exist.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import fleets
from .template import Template
from .wire import Call, Session

Tags = Callable[[str], Mapping[str, str]]
Context = Callable[[], Mapping[str, str]]


@dataclass(frozen=True)
class Need:
    """A permission that a call needs: an action on a resource, and the context for conditions."""

    action: str
    resource: str
    context: Context = dict


def _matches(value: str, patterns: str | Iterable[str], fold: bool = False) -> bool:
    wanted = [patterns] if isinstance(patterns, str) else patterns
    if fold:
        return any(fnmatch.fnmatchcase(value.lower(), one.lower()) for one in wanted)
    return any(fnmatch.fnmatchcase(value, one) for one in wanted)


def _equals(value: str, wanted: str | list[str]) -> bool:
    return value in ([wanted] if isinstance(wanted, str) else wanted)


def _all_equal(value: str, wanted: str | list[str]) -> bool:
    """Compare each of several values, which stand in one text with a line for each."""
    return all(_equals(one, wanted) for one in value.splitlines())


OPERATORS: Mapping[str, Callable[[str, Any], bool]] = {
    "StringEquals": _equals,
    "StringLike": _matches,
    "ArnLike": _matches,
    "ArnEquals": _matches,
    "Bool": _equals,
    "ForAllValues:StringEquals": _all_equal,
}


class Policies:
    """The policies of one stack's roles."""

    def __init__(
        self,
        template: Template,
        parameter_tags: Tags,
        instance_tags: Tags,
        launch_template_id: Callable[[str], str] = str,
    ):
        self.region, self.account = template.region, template.account
        self.statements = template.statements()
        self.runner_role = template.resolve({"Fn::GetAtt": ["RunnerRole", "Arn"]})
        self.parameter_tags = parameter_tags
        self.instance_tags = instance_tags  # those of anything in EC2, by its id
        self.launch_template_id = launch_template_id

    def refusal(self, call: Call, session: Session) -> Need | None:
        """Give the first permission that the call needs and its role lacks, if any."""
        for need in self.needs(call):
            if not self.allows(session, need):
                return need
        return None

    def allows(self, session: Session, need: Need) -> bool:
        """Tell whether the session's role has a permission: one grants it, and none denies it."""
        effects = {
            statement["Effect"]
            for statement in self.statements[session.role]
            if _matches(need.action, statement["Action"], fold=True)
            and _matches(need.resource, self._filled(statement["Resource"], session))
            and self._meets(statement.get("Condition", {}), need, session)
        }
        return effects == {"Allow"}

    def _meets(self, conditions: dict[str, dict[str, Any]], need: Need, session: Session) -> bool:
        if not conditions:
            return True
        values = need.context()
        for operator, pairs in conditions.items():
            if operator not in OPERATORS:
                raise ValueError(f"the local cloud does not know the condition {operator}")
            for key, wanted in pairs.items():
                wanted = self._filled(wanted, session)
                if key not in values or not OPERATORS[operator](values[key], wanted):
                    return False
        return True

    def _filled(self, value: Any, session: Session) -> Any:
        """Replace policy variables in a text, or in each of several."""
        if isinstance(value, list):
            return [self._filled(one, session) for one in value]
        return value.replace("${ec2:SourceInstanceARN}", self.instance_arn(session.name))

    def instance_arn(self, instance_id: str) -> str:
        """Give an instance's ARN."""
        return f"arn:aws:ec2:{self.region}:{self.account}:instance/{instance_id}"

    def needs(self, call: Call) -> Iterator[Need]:
        """List the permissions that a call needs; by default, its action on "*"."""
        special = {
            "ssm": self._parameters,
            "sqs": self._queue,
            "events": self._events,
            "ec2": self._instances,
            "s3": self._objects,
        }.get(call.service)
        yield from special(call) if special else [Need(f"{call.service}:{call.action}", "*")]

    def _parameters(self, call: Call) -> Iterator[Need]:
        names = call.names("Names")
        keys = ("Name", "ResourceId", "Path")
        names += [call.parameters[key] for key in keys if key in call.parameters]
        if not names:
            yield Need(f"ssm:{call.action}", "*")
        for name in map(str, names):
            arn = f"arn:aws:ssm:{self.region}:{self.account}:parameter/{name.lstrip('/')}"

            def tags(name: str = name) -> dict[str, str]:
                found = self.parameter_tags(name)
                said = {f"ssm:resourceTag/{key}": value for key, value in found.items()}
                if "Overwrite" in call.parameters:
                    said["ssm:Overwrite"] = str(call.parameters["Overwrite"]).lower()
                return said

            yield Need(f"ssm:{call.action}", arn, tags)
            if call.action == "PutParameter" and call.parameters.get("Tags"):
                yield Need("ssm:AddTagsToResource", arn, tags)
        if not names:
            yield Need(f"ssm:{call.action}", "*")

    def _queue(self, call: Call) -> Iterator[Need]:
        queue = str(call.parameters.get("QueueUrl", "*")).rsplit("/", 1)[-1]
        yield Need(
            f"sqs:{call.action.removesuffix('Batch')}",
            f"arn:aws:sqs:{self.region}:{self.account}:{queue}",
        )

    def _events(self, call: Call) -> Iterator[Need]:
        entries = call.parameters.get("Entries") if call.action == "PutEvents" else None
        for entry in entries if isinstance(entries, list) else [{}]:
            bus = str(entry.get("EventBusName", "default")).rsplit("/", 1)[-1]
            arn = f"arn:aws:events:{self.region}:{self.account}:event-bus/{bus}"
            said = {
                "events:source": str(entry.get("Source", "")),
                "events:detail-type": str(entry.get("DetailType", "")),
            }
            yield Need(f"events:{call.action}", arn, lambda said=said: said)

    def _objects(self, call: Call) -> Iterator[Need]:
        bucket = str(call.parameters["Bucket"])
        if "Key" in call.parameters:
            yield Need(f"s3:{call.action}", f"arn:aws:s3:::{bucket}/{call.parameters['Key']}")
        else:
            yield self.listing(bucket, call.parameters.get("prefix"))

    @staticmethod
    def listing(bucket: str, prefix: str | None) -> Need:
        """Give what it takes to list the keys that begin with a prefix.

        S3 also wants it of whoever is to hear that an object does not exist: the key is the prefix.
        """
        said = {} if prefix is None else {"s3:prefix": prefix}
        return Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", lambda: said)

    def _arn(self, kind: str, name: str = "*", account: str | None = None) -> str:
        account = self.account if account is None else account
        return f"arn:aws:ec2:{self.region}:{account}:{kind}/{name}"

    def _launch(self, call: Call) -> Iterator[Need]:
        """List what RunInstances touches, each with what its conditions may ask for.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        """
        given, run = call.parameters, "ec2:RunInstances"
        template_id = given.get("LaunchTemplate.LaunchTemplateId")
        name = given.get("LaunchTemplate.LaunchTemplateName")
        always: dict[str, str] = {}
        if template_id or name:
            template_id = template_id or self.launch_template_id(str(name))
            always["ec2:LaunchTemplate"] = self._arn("launch-template", template_id)
            yield Need(run, always["ec2:LaunchTemplate"], lambda: self._tags(template_id))
        for arn, said in (
            (self._arn("image", account=""), "ImageId"),
            (self._arn("security-group"), "SecurityGroupId.1"),
        ):
            from_template = "false" if said in given or not always else "true"
            yield Need(
                run, arn, lambda said=from_template: always | {"ec2:IsLaunchTemplateResource": said}
            )
        subnet = str(given.get("SubnetId", "*"))
        yield Need(run, self._arn("subnet", subnet), lambda: always | {"ec2:SubnetID": subnet})
        tags = _tags_at_launch(given)
        for kind in ("instance", "volume"):
            of_kind = {f"aws:RequestTag/{key}": value for key, value in tags.get(kind, {}).items()}
            yield Need(run, self._arn(kind), lambda of_kind=of_kind: always | of_kind)
            if of_kind and call.action == "RunInstances":
                yield self._tagging(kind, of_kind, call.action)
        yield Need(run, self._arn("network-interface"), lambda: always)
        if given.get("Market") == "spot":
            yield Need(run, self._arn("spot-instances-request"), lambda: always)
        yield Need(
            "iam:PassRole", self.runner_role, lambda: {"iam:PassedToService": "ec2.amazonaws.com"}
        )

    def _tagging(self, kind: str, of_kind: dict[str, str], action: str) -> Need:
        said = of_kind | {"ec2:CreateAction": action}
        return Need("ec2:CreateTags", self._arn(kind), lambda: said)

    def _fleet(self, call: Call) -> Iterator[Need]:
        """List what CreateFleet touches, and what EC2 then launches for it.

        Which condition keys EC2 fills in for a fleet itself is not documented for all of them, so
        a policy gets none but tags here.
        """
        create = "ec2:CreateFleet"
        tags = _tags_at_launch(call.parameters)
        for kind in ("fleet", "instance", "volume"):
            of_kind = {f"aws:RequestTag/{key}": value for key, value in tags.get(kind, {}).items()}
            yield Need(create, self._arn(kind), lambda of_kind=of_kind: of_kind)
            if of_kind:
                yield self._tagging(kind, of_kind, "CreateFleet")
        for kind in ("security-group", "network-interface"):
            yield Need(create, self._arn(kind))
        yield Need(create, self._arn("image", account=""))
        for launch in fleets.needs(call.parameters):
            template = launch.get("LaunchTemplate.LaunchTemplateId") or self.launch_template_id(
                str(launch.get("LaunchTemplate.LaunchTemplateName"))
            )
            yield Need(
                create,
                self._arn("launch-template", template),
                lambda name=template: self._tags(name),
            )
            yield Need(create, self._arn("subnet", str(launch["SubnetId"])))
            yield from self._launch(Call("ec2", "CreateFleet", launch, call.access_key))

    def _tags(self, name: str) -> dict[str, str]:
        found = self.instance_tags(name)
        return {
            f"{start}:ResourceTag/{key}": value
            for start in ("ec2", "aws")
            for key, value in found.items()
        }

    def _instances(self, call: Call) -> Iterator[Need]:
        action = f"ec2:{call.action}"
        if call.action == "RunInstances":
            yield from self._launch(call)
            return
        if call.action == "CreateFleet":
            yield from self._fleet(call)
            return
        found = call.names("InstanceId") or call.names("ResourceId")
        if call.action.startswith("Describe") or not found:
            yield Need(action, "*")
            return
        keys = [str(value) for name, value in call.parameters.items() if _is_tag_key(name)]
        said = {"aws:TagKeys": "\n".join(keys)} if keys else {}
        for instance_id in found:
            yield Need(
                action,
                self.instance_arn(instance_id),
                lambda one=instance_id: self._tags(one) | said,
            )


def _is_tag_key(name: str) -> bool:
    """Whether a parameter of CreateTags is Tag.N.Key."""
    return name.startswith("Tag.") and name.endswith(".Key")


def _tags_at_launch(parameters: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Read TagSpecification.N of RunInstances: tags by kind of resource."""
    found: dict[str, dict[str, str]] = {}
    for name, kind in parameters.items():
        if not name.startswith("TagSpecification.") or not name.endswith(".ResourceType"):
            continue
        start = name.removesuffix("ResourceType") + "Tag."
        found[str(kind)] = {
            str(key): str(parameters.get(one.removesuffix("Key") + "Value", ""))
            for one, key in parameters.items()
            if one.startswith(start) and one.endswith(".Key")
        }
    return found
