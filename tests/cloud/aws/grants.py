# SPDX-License-Identifier: MIT
"""What AWS itself needs to be allowed by the stack, so that its parts work together.

Lambda polls a queue and writes logs with the role of the function; EventBridge sends to a queue
that its policy opens to the rule, and starts a function whose policy names the rule; a function URL
is open when the function's own policy says so. In AWS a missing grant shows as silence. Here the
cloud does not start, and says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator

from botocore.credentials import Credentials

from .policy import OPERATORS, Need, Policies
from .template import Template
from .wire import Session

POLLING = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
LOGGING = ("logs:CreateLogStream", "logs:PutLogEvents")
URL_ACTIONS = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
NOBODY = Credentials("", "")


def missing(template: Template, policies: Policies) -> list[str]:
    """List the permissions that the stack needs and does not grant; [] when all is well."""
    return [
        *_polling(template, policies),
        *_logging(template, policies),
        *_delivery(template),
        *_clocks(template),
        *_url(template),
    ]


def _polling(template: Template, policies: Policies) -> Iterator[str]:
    roles = {function.name: function.role for function in template.functions()}
    for mapping in template.mappings():
        session = Session(roles[mapping.function], "", NOBODY)
        for action in POLLING:
            if not policies.allows(session, Need(action, mapping.queue_arn)):
                yield f"{session.role} may not {action} on {mapping.queue_arn}"


def _logging(template: Template, policies: Policies) -> Iterator[str]:
    start = f"arn:aws:logs:{template.region}:{template.account}:log-group:/aws/lambda/"
    for raw in template.of_type("AWS::Lambda::Function").values():
        name = template.resolve(raw["FunctionName"])
        session = Session(raw["Role"]["Fn::GetAtt"][0], "", NOBODY)
        for action in LOGGING:
            if not policies.allows(session, Need(action, f"{start}{name}:log-stream:one")):
                yield f"{session.role} may not {action} on the log group of {name}"


def _delivery(template: Template) -> Iterator[str]:
    statements = [
        statement
        for properties in template.resolve(template.of_type("AWS::SQS::QueuePolicy")).values()
        for statement in properties["PolicyDocument"]["Statement"]
    ]
    for rule in template.rules():
        arn = template.resolve({"Fn::GetAtt": [rule.logical_id, "Arn"]})
        for target in rule.targets:
            if not any(_opens(statement, arn, target) for statement in statements):
                yield f"no queue policy lets the rule {rule.name} send to {target}"


def _opens(statement: dict, rule_arn: str, queue_arn: str) -> bool:
    if statement.get("Principal") != {"Service": "events.amazonaws.com"}:
        return False
    if statement["Action"] != "sqs:SendMessage" or statement["Resource"] != queue_arn:
        return False
    return all(
        OPERATORS[operator](rule_arn, wanted)
        for operator, pairs in statement.get("Condition", {}).items()
        for wanted in pairs.values()
    )


def _clocks(template: Template) -> Iterator[str]:
    permissions = template.resolve(template.of_type("AWS::Lambda::Permission")).values()
    for logical_id, raw in template.of_type("AWS::Events::Rule").items():
        rule = template.resolve({"Fn::GetAtt": [logical_id, "Arn"]})
        targets = template.resolve(raw["Targets"]) if "ScheduleExpression" in raw else []
        for function in (target["Arn"] for target in targets):
            if not any(
                one["Principal"] == "events.amazonaws.com"
                and one["Action"] == "lambda:InvokeFunction"
                and one.get("SourceArn") == rule
                and function.endswith(":" + one["FunctionName"])
                for one in permissions
            ):
                yield f"no permission lets the rule {logical_id} start {function}"


def _url(template: Template) -> Iterator[str]:
    permissions = template.resolve(template.of_type("AWS::Lambda::Permission")).values()
    for url in template.resolve(template.of_type("AWS::Lambda::Url")).values():
        function = url["TargetFunctionArn"]
        given = {
            one["Action"]
            for one in permissions
            if one["Principal"] == "*" and function.endswith(":" + one["FunctionName"])
        }
        for action in URL_ACTIONS:
            if action not in given:
                yield f"no permission of {action} for everyone on {function}"
