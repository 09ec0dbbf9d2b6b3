# SPDX-License-Identifier: MIT
"""The stack's template: rules that every queue, function and machine in it keeps.

What its roles allow action by action is in test_roles.py; here is what their conditions forbid.
"""

from __future__ import annotations

import fnmatch
import json
import re

import boto3
import pytest
from botocore.exceptions import ClientError
from helpers import configure, job_message, queued

from cloud.aws import template

DOCUMENT = template.load()
RESOURCES = DOCUMENT["Resources"]
SIZE_LIMIT = 1_000_000  # of a template that CloudFormation reads from a bucket

# The ends of the line: dead letters do not die again.
LAST_QUEUES = {"DeadLetters", "DeadLettersFifo", "KeptLetters", "NotifyDeadLetters"}


KEY = "arn:aws:kms:eu-central-1:123456789012:key/0123"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"


def stack(region, **given):
    """A stack with these parameters."""
    always = {"CodeBucket": "b", "CodeKey": "k", "ImageId": "ami-1"}
    always |= {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}
    names = {name: name for name in RESOURCES}
    return template.Template(DOCUMENT, always | given, names, region, "123456789012")


def resolved(kind, region="eu-central-1", **given):
    """Give all resources of a kind as a stack with these parameters has them."""
    made = stack(region, **given)
    return {name: made.resolve(one) for name, one in made.of_type(kind).items()}


def of_type(kind):
    return {
        name: one.get("Properties", {}) for name, one in RESOURCES.items() if one["Type"] == kind
    }


def alarms(metric):
    return {
        one["Dimensions"][0]["Value"].get("Ref") or one["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for one in of_type("AWS::CloudWatch::Alarm").values()
        if one["MetricName"] == metric and "Dimensions" in one
    }


QUEUES = of_type("AWS::SQS::Queue")
FUNCTIONS = of_type("AWS::Lambda::Function")
SOURCES = of_type("AWS::Lambda::EventSourceMapping")


# (parameter, its value, kind of resource, property, what the property is then): all of the kind.
SET_EVERYWHERE = [
    ("PermissionsBoundary", BOUNDARY, "AWS::IAM::Role", "PermissionsBoundary", BOUNDARY),
    ("KmsKeyArn", KEY, "AWS::SQS::Queue", "KmsMasterKeyId", KEY),
    ("KmsKeyArn", KEY, "AWS::Logs::LogGroup", "KmsKeyId", KEY),
]


@pytest.mark.parametrize(("parameter", "value", "kind", "name", "wanted"), SET_EVERYWHERE)
def test_what_a_parameter_sets_is_set_on_all(parameter, value, kind, name, wanted):
    default = DOCUMENT["Parameters"][parameter]
    assert default["Default"] == "" and re.fullmatch(default["AllowedPattern"], value)
    given = {parameter: value}
    assert {one[name] for one in resolved(kind, **given).values()} == {wanted}
    assert all(name not in one for one in resolved(kind).values())


def test_functions_are_in_a_vpc_only_where_that_is_asked_for():
    given = {"FunctionSubnetIds": "subnet-3,subnet-4", "FunctionSecurityGroupIds": "sg-2"}
    wanted = {"SubnetIds": ["subnet-3", "subnet-4"], "SecurityGroupIds": ["sg-2"]}
    found = resolved("AWS::Lambda::Function", **given).values()
    assert [one["VpcConfig"] for one in found] == [wanted] * len(FUNCTIONS)
    assert all("VpcConfig" not in one for one in resolved("AWS::Lambda::Function").values())


def test_functions_that_store_parameters_know_the_key():
    def variables(**given):
        return {
            name: one["Environment"]["Variables"]["PARAMETER_KMS_KEY"]
            for name, one in resolved("AWS::Lambda::Function", **given).items()
            if "PARAMETER_KMS_KEY" in one["Environment"]["Variables"]
        }

    assert variables(KmsKeyArn=KEY) == {"RegisterFunction": KEY}
    assert variables() == {}


def test_volumes_are_encrypted_whatever_is_said_of_the_image():
    for given in ({}, {"VolumeKmsKeyArn": KEY}):
        found = resolved("AWS::EC2::LaunchTemplate", **given)["LaunchTemplate"]
        (disk,) = found["LaunchTemplateData"]["BlockDeviceMappings"]
        assert disk["Ebs"]["Encrypted"] is True
        assert disk["Ebs"].get("KmsKeyId", "") == given.get("VolumeKmsKeyArn", "")


def test_cloudformation_takes_the_template_as_it_is():
    assert template.DEFAULT_PATH.stat().st_size <= SIZE_LIMIT


@pytest.mark.parametrize("name", SOURCES)
def test_a_message_that_is_worked_on_stays_hidden_long_enough(name):
    source = SOURCES[name]
    queue = QUEUES[source["EventSourceArn"]["Fn::GetAtt"][0]]
    function = FUNCTIONS[source["FunctionName"]["Ref"]]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"]["MaximumConcurrency"] >= 2  # the least that Lambda takes


@pytest.mark.parametrize("name", sorted(set(QUEUES) - LAST_QUEUES))
def test_a_message_that_fails_becomes_a_dead_letter(name):
    redrive = QUEUES[name]["RedrivePolicy"]
    target = QUEUES[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
    assert target.get("FifoQueue") == QUEUES[name].get("FifoQueue")
    assert target["MessageRetentionPeriod"] == 1_209_600
    for source in SOURCES.values():
        if source["EventSourceArn"]["Fn::GetAtt"][0] == name:
            variables = FUNCTIONS[source["FunctionName"]["Ref"]].get("Environment", {})["Variables"]
            if name in ("LimitedQueue", "PacedQueue"):  # of which `watch` knows by itself
                text = (template.DEFAULT_PATH.parent / "job/line.h").read_text()
                found = re.search(r"LINE_RECEIVES_MAX (\d+)", text)
                variables = {"MAX_RECEIVE_COUNT": found[1]}
            count = variables.get("MAX_RECEIVE_COUNT", str(redrive["maxReceiveCount"]))
            assert count == str(redrive["maxReceiveCount"])


def test_launches_keep_to_the_budget_of_run_instances():
    """5 requests at once for the whole account, 2 a second after that."""
    launching = [one for one in SOURCES.values() if one["FunctionName"]["Ref"] == "QueuedFunction"]
    assert sum(one["ScalingConfig"]["MaximumConcurrency"] for one in launching) <= 5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_a_role_a_log_and_an_alarm_of_its_own(name):
    function, start = FUNCTIONS[name], name.removesuffix("Function")
    assert function["Runtime"] == "provided.al2023"
    assert function["Architectures"] == [{"Ref": "Architecture"}]
    assert 128 <= function["MemorySize"] <= 256
    assert function["Role"] == {"Fn::GetAtt": [f"{start}Role", "Arn"]}
    log = RESOURCES[f"{start}Logs"]["Properties"]
    assert log["LogGroupName"]["Fn::Sub"] == "/aws/lambda/" + function["FunctionName"]["Fn::Sub"]
    assert log["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert name in alarms("Errors")


def test_people_hear_of_dead_letters_and_of_messages_that_wait():
    assert alarms("ApproximateNumberOfMessagesVisible") == LAST_QUEUES
    assert alarms("ApproximateAgeOfOldestMessage") == set(QUEUES) - LAST_QUEUES
    for alarm in of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]


def test_people_hear_of_a_job_that_is_parked_for_too_long(stage):
    """A job is parked again within 15 minutes: in a shorter period the alarm would end."""
    (alarm,) = (
        one
        for one in of_type("AWS::CloudWatch::Alarm").values()
        if one["MetricName"] == "WaitingAge"
    )
    assert (alarm["Namespace"], alarm["Statistic"]) == ("scale-agent", "Maximum")
    assert "Dimensions" not in alarm and alarm["Period"] > 900
    resolved = [
        template.Template(DOCUMENT, given, {}, stage.region, "123456789012").resolve(
            alarm["Threshold"]
        )
        for given in ({}, {"WaitingLimit": "600"})
    ]
    assert resolved == ["3600000", "600000"]  # milliseconds, as the metric


def budget(region="eu-central-1", **given):
    made = stack(region, **given)
    return {
        kind: [made.resolve(one) for name, one in made.of_type(kind).items() if made.is_made(name)]
        for kind in ("AWS::Budgets::Budget", "AWS::SNS::TopicPolicy")
    }


def test_a_budget_is_made_only_where_one_is_given():
    none = {"AWS::Budgets::Budget": [], "AWS::SNS::TopicPolicy": []}
    assert budget() == none
    assert budget("us-gov-west-1", MonthlyBudget="500") == none
    pattern = DOCUMENT["Parameters"]["MonthlyBudget"]["AllowedPattern"]
    good = ("", "1", "2000")
    assert [one for one in (*good, "0", "-1", "1.5", "1e9") if re.fullmatch(pattern, one)] == [
        *good
    ]


@pytest.mark.parametrize(
    ("region", "unit"), [("eu-central-1", "USD"), ("cn-north-1", "CNY"), ("eusc-de-east-1", "EUR")]
)
def test_a_budget_counts_what_carries_the_stacks_tag_and_tells(region, unit):
    made = budget(region, MonthlyBudget="500")
    (one,) = made["AWS::Budgets::Budget"]
    assert (one["Budget"]["BudgetType"], one["Budget"]["TimeUnit"]) == ("COST", "MONTHLY")
    assert one["Budget"]["BudgetLimit"] == {"Amount": "500", "Unit": unit}
    # The tag of each machine and volume: see job/launch.c.
    assert one["Budget"]["CostFilters"] == {"TagKeyValue": ["user:scale-agent:prefix$/scale-agent"]}
    told = one["NotificationsWithSubscribers"]
    assert [note["Notification"]["NotificationType"] for note in told] == ["ACTUAL", "FORECASTED"]
    assert all(note["Subscribers"][0]["Address"] == "AlarmTopic" for note in told)


def test_who_may_publish_to_the_topic_of_alarms():
    """A policy takes the place of the default, by which the account's alarms may."""
    (policy,) = budget(MonthlyBudget="500")["AWS::SNS::TopicPolicy"]
    allowed = {one["Sid"]: one for one in policy["PolicyDocument"]["Statement"]}
    services = {sid: one["Principal"].get("Service") for sid, one in allowed.items()}
    assert services["Budget"] == "budgets.amazonaws.com"
    assert services["Alarms"] == "cloudwatch.amazonaws.com"
    assert all("sns:Publish" in one["Action"] for one in allowed.values())
    for sid in ("Budget", "Alarms"):
        assert allowed[sid]["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_the_dashboard_shows_metrics_that_there_are():
    body = of_type("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    shown = set(re.findall(r'"(?:scale-agent|\.)", "(\w+)"', body))
    shown |= set(re.findall(r'MetricName=\\"(\w+)\\"', body))
    sources = template.DEFAULT_PATH.parent.rglob("*.c")
    known = set(re.findall(r'"([A-Z]\w+)"', "".join(path.read_text() for path in sources)))
    assert shown - known == set()
    wanted = {
        "QueueTime",
        "TimeToStart",
        "Failovers",
        "Parked",
        "SpotWarning",
        "MachineTime",
        "WaitingAge",
    }
    assert wanted <= shown
    assert len({(one["x"], one["y"]) for one in widgets}) == len(widgets)


def test_machines_are_launched_as_they_should_be(stage):
    ec2 = stage.client("ec2")
    found = ec2.describe_launch_template_versions(LaunchTemplateName="scale-agent")
    data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
        "InstanceMetadataTags": "enabled",
    }
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    disk = data["BlockDeviceMappings"][0]["Ebs"]
    assert disk["Encrypted"] and disk["DeleteOnTermination"] and disk["VolumeType"] == "gp3"
    assert disk["Throughput"] <= disk["Iops"] / 4
    (group,) = ec2.describe_security_groups(GroupIds=data["SecurityGroupIds"])["SecurityGroups"]
    assert group["IpPermissions"] == []


def test_the_initialization_rate_is_set_only_where_it_is_asked_for(stage):
    """EBS takes 100 to 300; a launch template that says 0 launches nothing."""
    rate = DOCUMENT["Parameters"]["VolumeInitializationRate"]
    assert rate["Default"] == "0"
    taken = [number for number in range(1001) if re.fullmatch(rate["AllowedPattern"], str(number))]
    assert taken == [0, *range(100, 301)]
    found = stage.client("ec2").describe_launch_template_versions(LaunchTemplateName="scale-agent")
    data = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert "VolumeInitializationRate" not in data["BlockDeviceMappings"][0]["Ebs"]


LAUNCH_RULES = [
    statement
    for statement in RESOURCES["QueuedRole"]["Properties"]["Policies"][0]["PolicyDocument"][
        "Statement"
    ]
    if statement.get("Action") == "ec2:RunInstances"
]


@pytest.mark.parametrize("sid", [rule["Sid"] for rule in LAUNCH_RULES])
def test_a_launch_needs_each_statement_about_it(stage, sid):
    statements = stage.aws.policies.statements
    statements["QueuedRole"] = [one for one in statements["QueuedRole"] if one.get("Sid") != sid]
    assert queued(stage, job_message()) == ["message-1"]
    assert stage.instances() == []


FLEET_RULES = [rule["Sid"] for rule in LAUNCH_RULES] + [
    statement["Sid"]
    for statement in RESOURCES["QueuedRole"]["Properties"]["Policies"][0]["PolicyDocument"][
        "Statement"
    ]
    if statement.get("Action") == "ec2:CreateFleet"
]


@pytest.mark.parametrize("sid", [*FLEET_RULES, "TagsAtLaunchOnly"])
def test_a_fleet_needs_each_statement_about_it(stage, sid):
    configure(stage, allocation="price-capacity-optimized")
    statements = stage.aws.policies.statements
    statements["QueuedRole"] = [one for one in statements["QueuedRole"] if one.get("Sid") != sid]
    assert queued(stage, job_message()) == ["message-1"]
    assert stage.instances() == []


TAGS = [{"Key": "scale-agent:prefix", "Value": "/scale-agent"}]


@pytest.mark.parametrize(
    ("changed", "resource"),
    [
        ({}, None),
        ({"SubnetId": "subnet-other"}, "subnet/subnet-other"),
        ({"ImageId": "ami-12345678"}, "image/"),
        ({"SecurityGroupIds": ["sg-12345678"]}, "security-group/"),
        ({"TagSpecifications": []}, "instance/"),
        ({"LaunchTemplate": {"LaunchTemplateName": "another"}}, "launch-template/"),
    ],
    ids=["as it is", "another subnet", "another image", "open ports", "no tag", "another template"],
)
def test_only_machines_of_the_launch_template_can_be_launched(stage, changed, resource):
    image = stage.client("ec2").describe_images(Owners=["self"])["Images"][0]["ImageId"]
    stage.client("ec2").create_launch_template(
        LaunchTemplateName="another", LaunchTemplateData={"ImageId": image}
    )
    given = stage.assume("QueuedRole")
    ec2 = boto3.client(
        "ec2",
        region_name=stage.region,
        endpoint_url=stage.aws_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["Token"],
    )
    request = {
        "MinCount": 1,
        "MaxCount": 1,
        "InstanceType": "m7i.large",
        "SubnetId": stage.stack.subnets[0],
        "LaunchTemplate": {"LaunchTemplateName": "scale-agent"},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": TAGS}],
    } | changed
    if resource is None:
        assert len(ec2.run_instances(**request)["Instances"]) == 1
        return
    with pytest.raises(ClientError, match=rf"ec2:RunInstances on resource: \S*:{resource}"):
        ec2.run_instances(**request)


# -- partitions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "ec2", "console"),
    [
        ("eu-central-1", "ec2.amazonaws.com", "console.aws.amazon.com"),
        ("cn-north-1", "ec2.amazonaws.com.cn", "console.amazonaws.cn"),
        ("us-gov-west-1", "ec2.amazonaws.com", "console.amazonaws-us-gov.com"),
        ("eusc-de-east-1", "ec2.amazonaws.com", "console.amazonaws-eusc.eu"),
    ],
)
def test_names_follow_the_partition(region, ec2, console):
    made = stack(region)
    url = made.resolve(DOCUMENT["Outputs"]["DashboardUrl"]["Value"])
    assert url == (
        f"https://{region}.{console}/cloudwatch/home?region={region}#dashboards/dashboard/scale-agent"
    )
    roles = resolved("AWS::IAM::Role", region)
    (trust,) = roles["RunnerRole"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": ec2}
    (passing,) = [
        one
        for policy in roles["QueuedRole"]["Policies"]
        for one in policy["PolicyDocument"]["Statement"]
        if one["Action"] == "iam:PassRole"
    ]
    assert ec2 in passing["Condition"]["StringEquals"]["iam:PassedToService"]


def conditions(value, name):
    """All values of a condition key, at any depth."""
    if isinstance(value, dict):
        found = [one for key, one in value.items() if key == name]
        return found + [one for inner in value.values() for one in conditions(inner, name)]
    inner = value if isinstance(value, list) else []
    return [found for one in inner for found in conditions(one, name)]


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("eu-central-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("eusc-de-east-1", "amazonaws.eu"),
    ],
)
def test_a_key_may_be_used_through_the_services_of_every_partition(region, suffix):
    roles = resolved("AWS::IAM::Role", region, KmsKeyArn=KEY, VolumeKmsKeyArn=KEY)
    patterns = conditions(roles, "kms:ViaService")
    assert len(patterns) > 8
    for pattern in patterns:
        service = pattern.split(".")[0]
        assert fnmatch.fnmatchcase(f"{service}.{region}.{suffix}", pattern)
        assert not fnmatch.fnmatchcase(f"{service}.eu-west-1.{suffix}", pattern)


@pytest.mark.parametrize(("key", "algorithm"), [("", "AES256"), (KEY, "aws:kms")])
def test_the_bucket_of_hand_overs_is_closed_encrypted_and_forgets(key, algorithm):
    (bucket,) = resolved("AWS::S3::Bucket", HandOver="s3", KmsKeyArn=key).values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 1)
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    default = rule["ServerSideEncryptionByDefault"]
    assert default["SSEAlgorithm"] == algorithm
    assert default.get("KMSMasterKeyID", "") == key
    assert ("BucketKeyEnabled" in rule) == bool(key)  # the roles' permissions name the bucket
    assert "VersioningConfiguration" not in bucket  # what is deleted is gone


def test_the_bucket_of_hand_overs_takes_encrypted_calls_only():
    (policy,) = resolved("AWS::S3::BucketPolicy", HandOver="s3").values()
    (denied,) = policy["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    arn = "arn:aws:s3:::HandOverBucket"
    assert (policy["Bucket"], denied["Resource"]) == ("HandOverBucket", [arn, f"{arn}/*"])


def test_without_being_asked_for_there_is_no_trace_of_a_bucket():
    assert all(
        RESOURCES[name]["Condition"] == "HandOverInS3"
        for kind in ("AWS::S3::Bucket", "AWS::S3::BucketPolicy")
        for name in of_type(kind)
    )
    made = stack("eu-central-1")
    assert "HandOverBucket" not in json.dumps([made.statements(), str(made.functions())])


def test_who_uses_hand_overs_knows_where_they_are():
    made = stack("eu-central-1", HandOver="s3")
    url = "s3://HandOverBucket/arn:aws:ec2:eu-central-1:123456789012:instance"
    known = {
        one.logical_id: one.environment["HAND_OVERS"]
        for one in made.functions()
        if "HAND_OVERS" in one.environment
    }
    allowed = {
        role.removesuffix("Role") + "Function"
        for role, statements in made.statements().items()
        if "s3:" in json.dumps([one["Action"] for one in statements]) and role != "RunnerRole"
    }
    # `queued` tags machines with the bucket's name, and touches nothing in it.
    assert known == dict.fromkeys(allowed | {"QueuedFunction"}, url)
