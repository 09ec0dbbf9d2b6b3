# SPDX-License-Identifier: MIT
"""Permissions: each function has those that it needs, no others, and names the one it misses."""

from __future__ import annotations

import json
from contextlib import contextmanager

import boto3
import pytest
import tickets
from botocore.exceptions import ClientError
from helpers import (
    LABELS,
    REPOSITORY,
    batch,
    complaints,
    configure,
    failures,
    find_something_to_recover,
    forget,
    handed_over,
    job_message,
    job_url,
    queued,
    registered,
    store_breaker,
    waits_at_github,
)
from helpers import launched as launch

from cloud.aws import template
from cloud.aws.grants import NOBODY
from cloud.aws.policy import Need, Policies
from cloud.aws.sandbox import FunctionError
from cloud.aws.template import Template
from cloud.aws.wire import Session
from cloud.faults import Capacity, Error, Throttle
from cloud.hooks import ENDED
from cloud.limits import until
from cloud.machines.fleet import SPOT_WARNING

# What Lambda itself does with a function's role.
LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents"}
POLLER = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
AGAIN = "sqs:ChangeMessageVisibility"


def take_away(cloud, role, action):
    """Remove an action from a role; it has to be there."""
    kept = []
    for statement in cloud.aws.policies.statements[role]:
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        kept.append(statement | {"Action": [name for name in actions if name != action]})
    assert kept != cloud.aws.policies.statements[role]
    cloud.aws.policies.statements[role] = kept


def launched(cloud):
    assert queued(cloud, job_message()) == []
    stored = [call.parameters["Name"] for call in cloud.calls.of("ssm", "PutParameter")]
    return [name for name in stored if "/runners/" in name][-1].rpartition("/")[2]


def run_webhook(cloud):
    delivery = cloud.github.webhooks.announce(cloud.github.jobs.queue(
        REPOSITORY, LABELS, announce=False), "queued")  # fmt: skip
    assert until(lambda: delivery.status is not None)
    return delivery.status == 202


def run_queued(cloud):
    return queued(cloud, job_message()) == [] and handed_over(cloud) == [1]


def run_fleet(cloud):
    """Launch by a fleet; remove its hand-over, since later steps know of one only."""
    config, before = cloud.config, set(cloud.parameters())
    configure(cloud, allocation="price-capacity-optimized")
    failed = queued(cloud, job_message())
    configure(cloud, config)
    stored = sorted(set(cloud.parameters()) - before)
    if stored:
        cloud.client("ssm").delete_parameters(Names=stored)
    return failed == [] and len(stored) == 1


def recall(cloud):
    return queued(cloud, job_message(), receives=2) == [] and handed_over(cloud) == [1]


def register_again(cloud):
    _, messages = launch(cloud, job_message())
    return registered(cloud, *messages, receives=2) == [] and handed_over(cloud) == [1]


def park(cloud):
    cloud.faults.add("ec2", "RunInstances", fault=Capacity())
    return queued(cloud, job_message()) == []


@contextmanager
def limit_of_one(cloud):
    """A limit of machines, for as long as a step takes; of functions yet to start."""
    before = cloud.config
    configure(cloud, max_machines=1)
    yield
    configure(cloud, before)


def wait_at_limit(cloud):
    with limit_of_one(cloud):
        return queued(cloud, job_message(1), job_message(2)) == []


def count(cloud):
    with limit_of_one(cloud):
        queued(cloud, job_message())
    return "machines could not be counted" not in complaints(cloud, "queued")


def look_for_room(cloud):
    with limit_of_one(cloud):
        job = job_message(action="limited", stale=1)
        cloud.invoke("admit", batch(cloud, "LimitedQueue", job))
    return "job waits at its limit" not in complaints(cloud, "admit")


def admit(cloud):
    job = job_message(action="paced", paced=1)
    return failures(cloud.invoke("admit", batch(cloud, "PacedQueue", job))) == []


def admit_at_limit(cloud):
    """Admit while a limit of GitHub's is stored that ended long ago."""
    cloud.put_document("breakers/_limit.4711", json.dumps({"version": 1}))
    admit(cloud)
    return "cannot be read" not in complaints(cloud, "admit")


def take_back(cloud):
    cloud.faults.add("github", "actions/generate-*", fault=Error("", 404, "Not Found"))
    queued(cloud, job_message())
    return "not terminated" not in complaints(cloud, "register")


def meet_limit(cloud):
    """GitHub's hour is used up, which `register` tells those who launch."""
    limits = cloud.github.api.limits
    limits.used = limits.per_hour
    _, messages = launch(cloud, job_message())
    registered(cloud, *messages)
    limits.used = 0
    name = f"{cloud.stack.prefix}/breakers/_limit.4711"
    return cloud.client("ssm").delete_parameters(Names=[name])["DeletedParameters"] == [name]


def come_again(handler, queue):
    """A message that fails is to come again soon."""

    def run(cloud):
        cloud.faults.add("sqs", "SendMessage", fault=Throttle())
        event = batch(cloud, queue, "no JSON", receiptHandle="x")
        assert failures(cloud.invoke(handler, event)) == ["message-1"]
        return AGAIN not in complaints(cloud, handler)

    return run


def bury(handler, queue):
    """A message that fails for the last time is to be sent away."""

    def run(cloud):
        return failures(cloud.invoke(handler, batch(cloud, queue, "no JSON", receives=4))) == []

    return run


def start(cloud):
    job = job_message(action="in_progress", runner_name=launched(cloud))
    return failures(cloud.invoke("in_progress", batch(cloud, "InProgressQueue", job))) == []


def start_elsewhere(cloud):
    """A runner named as a machine that is gone took the job."""
    job = job_message(action="in_progress", runner_name="i-0123456789abcdef0")
    return failures(cloud.invoke("in_progress", batch(cloud, "InProgressQueue", job))) == []


def complete(cloud):
    configure(cloud, terminate_on_completed=True)
    name = launched(cloud)
    (runner,) = cloud.github.registry.find(f"repos/{REPOSITORY}", name)
    job = job_message(action="completed", runner_name=name, runner_id=runner.id)
    return failures(cloud.invoke("completed", batch(cloud, "CompletedQueue", job))) == []


def fail(cloud):
    job = job_message(action="completed", runner_name=launched(cloud), conclusion="failure")
    return failures(cloud.invoke("completed", batch(cloud, "CompletedQueue", job))) == []


def warn(cloud):
    detail = {"instance-id": launched(cloud), "instance-action": "terminate"}
    event = {"source": "aws.ec2", "detail-type": SPOT_WARNING, "detail": detail}
    return failures(cloud.invoke("instance", batch(cloud, "InstanceQueue", event))) == []


def end(cloud):
    detail = {"instance-id": launched(cloud), "state": "terminated"}
    event = {"source": "aws.ec2", "detail-type": ENDED, "detail": detail}
    return failures(cloud.invoke("instance", batch(cloud, "InstanceQueue", event))) == []


def hear(cloud):
    """A report, whose ticket is checked."""
    cloud.put_document("ticket-key", tickets.KEY)
    event = batch(cloud, "InstanceQueue", tickets.report(cloud, "ready", {}))
    return failures(cloud.invoke("instance", event)) == []


def lose(cloud):
    name = launched(cloud)
    cloud.github.registry.find(f"repos/{REPOSITORY}", name)[0].busy = True
    tag = {"Key": "scale-agent:job-url", "Value": job_url()}
    cloud.client("ec2").create_tags(Resources=[name], Tags=[tag])
    detail = {"instance-id": name, "state": "terminated"}
    event = {"source": "aws.ec2", "detail-type": ENDED, "detail": detail}
    return failures(cloud.invoke("instance", batch(cloud, "InstanceQueue", event))) == []


def watch(cloud):
    job = job_message(action="watched", instance="i-0123456789abcdef0")
    waits_at_github(cloud, job)
    return failures(cloud.invoke("watch", batch(cloud, "WatchQueue", job))) == []


def read_breakers(cloud):
    queued(cloud, job_message())
    return "circuit breakers cannot be read" not in complaints(cloud, "queued")


def probe(cloud):
    store_breaker(cloud, stopped_since_ms=1, stopped_until_ms=2)
    worked = run_queued(cloud)
    store_breaker(cloud)
    return worked


def look_at_breakers(cloud):
    """A job runs although its spec is stopped."""
    store_breaker(cloud, stopped_since_ms=1, stopped_until_ms=2)
    tag = {"Key": "scale-agent:job-url", "Value": job_url()}
    name = launched(cloud)
    cloud.client("ec2").create_tags(Resources=[name], Tags=[tag])
    job = job_message(action="watched", instance=name)
    assert failures(cloud.invoke("watch", batch(cloud, "WatchQueue", job))) == []
    return "circuit breaker" not in complaints(cloud, "watch")


def lose_spot(cloud):
    configure(cloud, on_demand_fallback=True)
    detail = {"instance-id": launched(cloud), "instance-action": "terminate"}
    event = {"source": "aws.ec2", "detail-type": SPOT_WARNING, "detail": detail}
    taken = failures(cloud.invoke("instance", batch(cloud, "InstanceQueue", event))) == []
    return taken and "circuit breaker" not in complaints(cloud, "instance")


def sweep(cloud):
    """Something to do for each part of `recover`."""
    find_something_to_recover(cloud, job_message(1), job_message(2), job_message(3))
    try:
        return cloud.invoke("recover", {})["failed"] == 0
    except FunctionError:
        return False


def tell(cloud):
    event = batch(cloud, "DeadLetters", job_message())
    return failures(cloud.invoke("dead_letter", event)) == []


def notify(cloud):
    event = batch(cloud, "NotifyQueue", {"title": "hello"})
    return failures(cloud.invoke("notify", event)) == []


# (handler, action, what needs it): all that the functions' roles allow, see the first test.
NEEDS = [
    ("webhook", "ssm:GetParameters", run_webhook),
    ("webhook", "sqs:SendMessage", run_webhook),
    ("queued", "ssm:GetParameters", run_queued),
    ("queued", "ec2:RunInstances", run_queued),
    ("queued", "ec2:CreateTags", run_queued),
    ("queued", "iam:PassRole", run_queued),
    ("queued", "ec2:CreateFleet", run_fleet),
    ("queued", "ec2:DescribeSubnets", run_fleet),
    ("queued", "ssm:PutParameter", probe),
    ("queued", "sqs:SendMessage", park),
    ("queued", "sqs:SendMessage", wait_at_limit),
    ("queued", "ec2:DescribeInstances", recall),
    ("queued", "ec2:DescribeInstances", count),
    ("queued", "ssm:GetParametersByPath", read_breakers),
    ("queued", AGAIN, come_again("queued", "QueuedQueue")),
    ("register", "ssm:GetParameter", run_queued),
    ("register", "ssm:GetParameters", run_queued),
    ("register", "ssm:PutParameter", run_queued),
    ("register", "ssm:PutParameter", meet_limit),
    ("register", "ssm:AddTagsToResource", run_queued),
    ("register", "sqs:SendMessage", run_queued),
    ("register", "ec2:DescribeInstances", register_again),
    ("register", "ec2:TerminateInstances", take_back),
    ("register", AGAIN, come_again("register", "RegisterQueue")),
    ("in_progress", "ec2:CreateTags", start),
    ("in_progress", "ec2:DescribeInstances", start_elsewhere),
    ("in_progress", "sqs:SendMessage", bury("in_progress", "InProgressQueue")),
    ("in_progress", AGAIN, come_again("in_progress", "InProgressQueue")),
    ("completed", "ssm:GetParameters", complete),
    ("completed", "ec2:TerminateInstances", complete),
    ("completed", "ec2:DescribeInstances", fail),
    ("completed", "sqs:SendMessage", bury("completed", "CompletedQueue")),
    ("completed", AGAIN, come_again("completed", "CompletedQueue")),
    ("instance", "ssm:GetParameter", hear),
    ("instance", "ssm:DeleteParameters", end),
    ("instance", "ssm:GetParameters", end),
    ("instance", "ec2:DescribeInstances", end),
    ("instance", "ec2:CreateTags", warn),
    ("instance", "sqs:SendMessage", lose),
    ("instance", "ssm:GetParametersByPath", lose_spot),
    ("instance", "ssm:PutParameter", lose_spot),
    ("instance", AGAIN, come_again("instance", "InstanceQueue")),
    ("admit", "ssm:GetParameters", admit),
    ("admit", "ec2:DescribeInstances", look_for_room),
    ("admit", "sqs:GetQueueAttributes", admit),
    ("admit", "sqs:SendMessage", admit),
    ("admit", "ssm:GetParametersByPath", admit_at_limit),
    ("admit", AGAIN, come_again("admit", "PacedQueue")),
    ("watch", "ssm:GetParameters", watch),
    ("watch", "ssm:DeleteParameters", watch),
    ("watch", "ec2:DescribeInstances", watch),
    ("watch", "sqs:SendMessage", watch),
    ("watch", "ssm:GetParametersByPath", look_at_breakers),
    ("watch", "ssm:PutParameter", look_at_breakers),
    ("watch", AGAIN, come_again("watch", "WatchQueue")),
    ("recover", "ssm:DescribeParameters", sweep),
    ("recover", "ssm:GetParameters", sweep),
    ("recover", "ssm:DeleteParameters", sweep),
    ("recover", "ec2:DescribeInstances", sweep),
    ("recover", "ec2:TerminateInstances", sweep),
    ("recover", "ec2:CreateTags", sweep),
    ("recover", "sqs:SendMessage", sweep),
    ("dead_letter", "sqs:SendMessage", tell),
    ("dead_letter", AGAIN, come_again("dead_letter", "DeadLetters")),
    ("notify", "ssm:GetParameters", notify),
    ("notify", AGAIN, come_again("notify", "NotifyQueue")),
]


WHERE = "arn:aws:lambda:eu-central-1:123456789012:function:"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0123"
ROLES = [name for name, one in template.load()["Resources"].items() if "IAM::Role" in one["Type"]]


def policies(**given):
    """Give the policies of a stack with these parameters, which need not exist."""
    document = template.load()
    always = {"CodeBucket": "b", "CodeKey": "k", "ImageId": "ami-1"}
    always |= {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}
    names = {name: name for name in document["Resources"]}
    stack = Template(document, always | given, names, "eu-central-1", "123456789012")
    return Policies(stack, lambda name: {}, lambda name: {})


APP_KEY = "github/apps/67890/private-key"
ENTERPRISE = "github/enterprise-token"


def with_key(**given):
    """List who may do what with a key, by way of what: parameters by name, other services."""
    ours = policies(**given)
    start = "arn:aws:ssm:eu-central-1:123456789012:parameter/scale-agent/"
    names = (
        "config", "github/webhook-secret", "github/private-key", APP_KEY, ENTERPRISE,
        "notify/slack", "runners/i-1",
    )  # fmt: skip
    ways = {name: {"kms:EncryptionContext:PARAMETER_ARN": start + name} for name in names}
    for service in ("sqs", "ec2"):
        ways[service] = {"kms:ViaService": f"{service}.eu-central-1.amazonaws.com"}
    ways["grant"] = ways["ec2"] | {"kms:GrantIsForAWSResource": "true"}
    ways["the bucket"] = {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::HandOverBucket"}
    ways["the key itself"] = {}
    actions = (
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "ReEncryptFrom",
        "CreateGrant",
        "PutKeyPolicy",
    )
    return {
        (role, action, way)
        for role in ROLES
        for action in actions
        for way, context in ways.items()
        if ours.allows(Session(role, "", NOBODY), Need(f"kms:{action}", KEY, lambda c=context: c))
    }


READS = {
    "WebhookRole": ["config", "github/webhook-secret"],
    "QueuedRole": ["config", "github/private-key"],
    "RegisterRole": ["config", "github/private-key", APP_KEY, ENTERPRISE, "runners/i-1"],
    "CompletedRole": ["config", "github/private-key", ENTERPRISE],
    "InstanceRole": ["config", "github/private-key", ENTERPRISE, "runners/i-1"],
    "AdmitRole": ["config", "github/private-key", ENTERPRISE],
    "WatchRole": ["config", "github/private-key", ENTERPRISE],
    "RecoverRole": ["config", "github/private-key", ENTERPRISE, "runners/i-1"],
    "NotifyRole": ["notify/slack"],
    "RunnerRole": ["runners/i-1"],
}


def test_a_key_is_open_to_those_who_need_it_and_only_for_that():
    needed = {(role, "Decrypt", name) for role, names in READS.items() for name in names}
    needed |= {("RegisterRole", one, "runners/i-1") for one in ("Encrypt", "GenerateDataKey")}
    needed |= {(role, "Decrypt", "sqs") for role in ROLES if role != "RunnerRole"}
    needed |= {
        (role, "GenerateDataKey", "sqs")
        for role in ROLES
        if role not in ("RunnerRole", "NotifyRole")
    }  # who sends
    assert with_key(KmsKeyArn=KEY) == needed
    assert with_key() == set()
    bucket = {
        (role, "Decrypt", "the bucket")
        for role in ("RegisterRole", "InstanceRole", "RecoverRole", "RunnerRole")
    }
    bucket.add(("RegisterRole", "GenerateDataKey", "the bucket"))
    assert with_key(KmsKeyArn=KEY, HandOver="s3") == needed | bucket
    assert with_key(HandOver="s3") == set()


def test_a_key_of_the_image_is_open_to_launches():
    through = {("QueuedRole", action, "ec2") for action in ("Decrypt", "ReEncryptFrom")}
    # A grant is made by way of EC2 for the instance, never for somebody else.
    through |= {("QueuedRole", action, "grant") for _, action, _ in through}
    assert with_key(VolumeKmsKeyArn=KEY) == through | {("QueuedRole", "CreateGrant", "grant")}


def test_only_lambda_itself_makes_network_interfaces_for_functions():
    function = {"lambda:SourceFunctionArn": WHERE + "scale-agent-queued"}
    for given in ({}, {"FunctionSubnetIds": "subnet-1", "FunctionSecurityGroupIds": "sg-1"}):
        ours = policies(**given)
        for role in ROLES:
            may = [
                ours.allows(
                    Session(role, "", NOBODY),
                    Need("ec2:CreateNetworkInterface", "*", lambda c=context: c),
                )
                for context in ({}, function)
            ]
            assert may == [bool(given) and role != "RunnerRole", False], role


def test_iam_takes_the_policies_with_all_that_can_be_given():
    """10,240 characters for all policies in a role, white space not counted."""
    given = {"KmsKeyArn": KEY, "VolumeKmsKeyArn": KEY, "Prefix": "p" * 31, "HandOver": "s3"}
    for role, statements in policies(**given).statements.items():
        assert len(json.dumps(statements, separators=(",", ":"))) < 10_000, role


def test_roles_allow_what_is_needed_and_nothing_else(stage):
    for handler, function in stage.functions.items():
        allowed = set()
        for statement in stage.aws.policies.statements[function.role]:
            actions = statement["Action"]
            allowed |= {actions} if isinstance(actions, str) else set(actions)
        needed = {action for name, action, _ in NEEDS if name == handler} | LAMBDA
        needed |= POLLER if handler not in ("webhook", "recover") else set()
        assert (handler, allowed - needed, needed - allowed) == (handler, set(), set())


@pytest.mark.parametrize(
    ("handler", "action", "run"), NEEDS, ids=[f"{need[0]}-{need[1]}" for need in NEEDS]
)
def test_a_permission_that_is_missing_is_named(stage, handler, action, run):
    take_away(stage, stage.functions[handler].role, action)
    assert not run(stage)
    assert action in complaints(stage, handler)


def test_with_their_roles_the_functions_work(stage):
    for run in dict.fromkeys(need[2] for need in NEEDS if need[1] != AGAIN):
        stage.faults.clear()
        stage.client("ssm").delete_parameters(Names=["/scale-agent/config"])
        configure(stage)
        for handler in stage.functions:
            forget(stage, handler)
        assert run(stage), run.__name__
    # start_elsewhere() is about a machine that is not there.
    assert denied(stage) == [("InProgressRole", "ec2", "CreateTags")]


def denied(cloud):
    codes = ("AccessDeniedException", "UnauthorizedOperation", "AccessDenied")
    return [(call.role, call.service, call.action) for call in cloud.calls if call.error in codes]


def test_nothing_is_denied_in_a_whole_life(cloud):
    configure(cloud, terminate_on_completed=True)
    cloud.hurry = 30
    full = Error("ParameterLimitExceeded", 400)
    cloud.faults.add("ssm", "PutParameter", {"Name": "*/runners/*"}, times=1, fault=full)
    jobs = [cloud.github.queue_job(REPOSITORY, LABELS) for _ in range(3)]
    assert until(lambda: all(job.state == "completed" for job in jobs))
    assert cloud.idle()
    # A machine that looks for its parameter before it is there is told that it may not.
    assert set(denied(cloud)) <= {("RunnerRole", "ssm", "GetParameter")}


# Whoever has the key can sign anything, so only the functions that sign or verify may read it.
TICKET_KEY = "/scale-agent/ticket-key"
NEW_KEY = {"Name": TICKET_KEY, "Value": "f" * 64, "Type": "SecureString"}
WITHOUT_TICKETS = [
    "Webhook", "Queued", "InProgress", "Completed", "Watch", "DeadLetter", "Notify", "Runner",
]  # fmt: skip

# What one part of the stack could do to another if its role let it: (role, service, call, words).
FORBIDDEN = [
    ("WebhookRole", "ssm", "get_parameter", {"Name": "/scale-agent/github/private-key"}),
    ("WebhookRole", "ec2", "run_instances", {"MinCount": 1, "MaxCount": 1}),
    ("WebhookRole", "sqs", "send_message", {"QueueUrl": "NotifyQueue", "MessageBody": "x"}),
    ("QueuedRole", "ssm", "get_parameter", {"Name": "/scale-agent/github/webhook-secret"}),
    ("QueuedRole", "ssm", "delete_parameters", {"Names": ["/scale-agent/config"]}),
    ("QueuedRole", "ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    ("QueuedRole", "ssm", "put_parameter", NEW_KEY | {"Name": "/scale-agent/runners/i-1"}),
    ("QueuedRole", "ssm", "get_parameter", {"Name": f"/scale-agent/{ENTERPRISE}"}),
    *((f"{role}Role", "ssm", "get_parameter", {"Name": f"/scale-agent/{APP_KEY}"})
      for role in ("Webhook", "Queued", "Completed", "Instance", "Admit", "Watch", "Recover")),
    ("RegisterRole", "ec2", "run_instances", {"MinCount": 1, "MaxCount": 1}),
    ("RegisterRole", "ssm", "put_parameter", NEW_KEY | {"Overwrite": True}),
    ("RegisterRole", "ssm", "delete_parameters", {"Names": [TICKET_KEY]}),
    ("InstanceRole", "ssm", "put_parameter", NEW_KEY | {"Overwrite": False}),
    *((f"{role}Role", "ssm", "get_parameter", {"Name": TICKET_KEY}) for role in WITHOUT_TICKETS),
    ("InProgressRole", "ssm", "get_parameter", {"Name": "/scale-agent/github/private-key"}),
    ("CompletedRole", "ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    ("InstanceRole", "ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    ("AdmitRole", "ec2", "run_instances", {"MinCount": 1, "MaxCount": 1}),
    ("AdmitRole", "ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    ("WatchRole", "ec2", "run_instances", {"MinCount": 1, "MaxCount": 1}),
    ("WatchRole", "ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    ("DeadLetterRole", "ssm", "get_parameter", {"Name": "/scale-agent/config"}),
    ("NotifyRole", "ssm", "get_parameter", {"Name": "/scale-agent/github/private-key"}),
    ("RunnerRole", "ssm", "get_parameter", {"Name": "/scale-agent/config"}),
    ("RunnerRole", "ec2", "describe_instances", {}),
    ("RunnerRole", "events", "put_events",
     {"Entries": [{"Source": "aws.ec2", "DetailType": ENDED, "Detail": "{}"}]}),
]  # fmt: skip


def client(cloud, role, service, session="local"):
    given = cloud.assume(role, session)
    return boto3.client(
        service, region_name=cloud.region, endpoint_url=cloud.aws_url,
        aws_access_key_id=given["AccessKeyId"], aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["Token"],
    )  # fmt: skip


def test_a_call_that_a_role_does_not_allow_is_refused(stage):
    for role, service, call, arguments in FORBIDDEN:
        if "QueueUrl" in arguments:
            arguments = arguments | {"QueueUrl": stage.queue(arguments["QueueUrl"]).url}
        with pytest.raises(ClientError, match="not authorized to perform"):
            getattr(client(stage, role, service), call)(**arguments)


def test_a_machine_reads_its_own_parameter_and_no_other(stage):
    assert queued(stage, job_message(1), job_message(2)) == []
    first, second = (one["InstanceId"] for one in stage.instances())
    mine = client(stage, "RunnerRole", "ssm", session=first)
    name = f"/scale-agent/runners/{first}"
    value = mine.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    assert json.loads(value)["jit_config"]
    for call in (mine.get_parameter, mine.delete_parameter):
        with pytest.raises(ClientError, match="not authorized to perform"):
            call(Name=f"/scale-agent/runners/{second}")
    mine.delete_parameter(Name=name)
    assert len(stage.parameters()) == 1
