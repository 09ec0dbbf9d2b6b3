# SPDX-License-Identifier: MIT
"""notify: what people see in Teams and Slack, and what happens when a channel is down."""

from __future__ import annotations

import json

import pytest
from helpers import batch, complaints, failures, job_url, log

from cloud.faults import Capacity
from cloud.limits import until
from cloud.serve import Answer

TEAMS, SLACK = "notify/teams-webhook-urls", "notify/slack-webhook-urls"


def notification(**changes):
    document = {
        "severity": "error",
        "title": "Runner i-1 failed",
        "text": "The machine powers itself off.\nIts job had started.",
        "facts": [
            {"name": "Reason", "value": "exit code 1 of Runner.Listener"},
            {"name": "Repository", "value": "octo-org/one"},
        ],
        "url": job_url(3),
        "key": "failed i-1",
    } | changes
    return {name: value for name, value in document.items() if value is not None}


def notify(cloud, *notifications, **options):
    return failures(cloud.invoke("notify", batch(cloud, "NotifyQueue", *notifications, **options)))


def send_notifications(cloud, notifications):
    """Send some to the queue, as the functions do."""
    entries = [
        {
            "Id": str(at),
            "MessageBody": json.dumps(one),
            "MessageGroupId": "notify",
            "MessageDeduplicationId": one["key"],
        }
        for at, one in enumerate(notifications)
    ]
    url = cloud.queue("NotifyQueue").url
    assert not cloud.client("sqs").send_message_batch(QueueUrl=url, Entries=entries).get("Failed")


def test_teams_gets_an_adaptive_card(make_stage, inboxes):
    inbox = inboxes()
    stage = make_stage(secrets={TEAMS: inbox.url})
    assert notify(stage, notification()) == []
    (request,) = inbox.requests
    assert request.method == "POST"
    assert request.headers["content-type"].startswith("application/json")
    (message,) = inbox.messages
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["contentUrl"] is None
    card = attachment["content"]
    assert card["$schema"] == "http://adaptivecards.io/schemas/adaptive-card.json"
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.2")
    title, text, facts = card["body"]
    assert (title["type"], title["text"]) == ("TextBlock", "Runner i-1 failed")
    assert title["color"] == "attention"
    assert text["wrap"] is True
    assert "powers itself off.\n\nIts job" in text["text"]
    assert facts["type"] == "FactSet"
    assert facts["facts"][0]["title"] == "Reason"
    assert facts["facts"][1]["value"] == "octo-org/one"
    (action,) = card["actions"]
    assert (action["type"], action["url"]) == ("Action.OpenUrl", job_url(3))


def test_slack_gets_blocks(make_stage, inboxes):
    inbox = inboxes(status=200, body=b"ok")
    stage = make_stage(secrets={SLACK: inbox.url})
    assert notify(stage, notification(title="a < b & c")) == []
    (message,) = inbox.messages
    assert message["text"] == "a &lt; b &amp; c"
    sections = message["blocks"]
    assert {section["type"] for section in sections} == {"section"}
    assert "*a &lt; b &amp; c*" in sections[0]["text"]["text"]
    fields = [field["text"] for section in sections for field in section.get("fields", [])]
    assert fields[0].startswith("*Reason*\n")
    assert f"<{job_url(3)}|Open the job>" in str(sections)


def test_all_urls_of_all_channels_are_told(make_stage, inboxes):
    boxes = [inboxes() for _ in range(4)]
    teams = f"{boxes[0].url}\n\n  {boxes[1].url}\r\n{boxes[2].url}"
    stage = make_stage(secrets={TEAMS: teams, SLACK: boxes[3].url})
    assert notify(stage, notification()) == []
    assert [len(box.messages) for box in boxes] == [1, 1, 1, 1]


def test_severities_look_different(make_stage, inboxes):
    inbox = inboxes()
    stage = make_stage(secrets={TEAMS: inbox.url})
    kinds = ["info", "warning", "error", "unheard of"]
    for kind in kinds:
        assert notify(stage, notification(severity=kind, key=kind)) == []
    cards = [message["attachments"][0]["content"] for message in inbox.messages]
    colours = [card["body"][0]["color"] for card in cards]
    assert colours == ["accent", "warning", "attention", "warning"]


def test_a_notification_may_be_short(make_stage, inboxes):
    teams, slack = inboxes(), inboxes()
    stage = make_stage(secrets={TEAMS: teams.url, SLACK: slack.url})
    assert notify(stage, {"title": "t"}) == []
    assert notify(stage, notification(url="javascript:alert(1)", key="2", facts="none")) == []
    for message in teams.messages:
        assert "actions" not in message["attachments"][0]["content"]
    assert "javascript" not in str(slack.messages)


def test_a_huge_notification_fits(make_stage, inboxes):
    teams, slack = inboxes(), inboxes()
    stage = make_stage(secrets={TEAMS: teams.url, SLACK: slack.url})
    facts = [{"name": "n" * 5000, "value": "*ü😀" * 5000}] * 40
    huge = notification(title="t" * 9000, text="*[]_\n" * 9000, facts=facts)
    assert notify(stage, huge) == []
    assert len(teams.requests[0].body) <= 28 * 1024
    assert all(len(s.get("text", {}).get("text", "")) <= 3000 for s in slack.messages[0]["blocks"])
    assert all(len(s.get("fields", [])) <= 10 for s in slack.messages[0]["blocks"])


def test_one_channel_that_is_down_does_not_silence_the_other(make_stage, inboxes):
    down, slack = inboxes(), inboxes(status=200, body=b"ok")
    down.stop()
    stage = make_stage(secrets={TEAMS: down.url, SLACK: slack.url})
    assert notify(stage, notification()) == []
    assert len(slack.messages) == 1
    errors = complaints(stage, "notify")
    assert "TEAMS_WEBHOOK_URLS" in errors
    assert "very-secret-token" not in errors


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b"no_service", "no_service"),
        (401, json.dumps({"error": {"code": "DirectApiInvalid"}}).encode(), "DirectApiInvalid"),
        (302, b"", "302"),
        (500, b"<html>", "500"),
    ],
)
def test_when_nobody_could_be_told_it_is_tried_again(make_stage, inboxes, status, body, words):
    inbox = inboxes(status=status, body=body)
    stage = make_stage(secrets={TEAMS: inbox.url})
    assert notify(stage, notification()) == ["message-1"]
    assert words in complaints(stage, "notify")
    inbox.status = 202
    inbox.messages.clear()
    assert notify(stage, notification(), receives=2) == []
    assert len(inbox.messages) == 1


def test_a_channel_that_is_asked_too_much_is_asked_later(make_stage, inboxes, monkeypatch):
    inbox = inboxes(status=200, body=b"ok")
    answers = [Answer(429, b"", {"Retry-After": "1"}), Answer(503)]
    monkeypatch.setattr(
        inbox._server, "handle", lambda request: (answers or [inbox._take(request)]).pop(0)
    )
    stage = make_stage(secrets={SLACK: inbox.url})
    assert notify(stage, notification()) == []
    assert len(inbox.messages) == 1


def test_without_a_channel_the_log_says_it(stage):
    assert notify(stage, notification()) == []
    assert "nobody is told: no channel is configured" in complaints(stage, "notify")
    assert "TEAMS_WEBHOOK_URLS or SLACK_WEBHOOK_URLS" in complaints(stage, "notify")
    lines = [line for line in log(stage, "notify") if line["message"] == "notification"]
    assert lines[0]["title"] == "Runner i-1 failed"
    assert lines[0]["url"] == job_url(3)


def test_a_url_that_is_none_is_refused_without_showing_it(make_stage):
    stage = make_stage(secrets={TEAMS: "not a URL with a secret\nfile:///etc/passwd"})
    assert notify(stage, notification()) == ["message-1"]
    errors = complaints(stage, "notify")
    assert "TEAMS_WEBHOOK_URLS" in errors
    assert "secret" not in errors.replace("the URL", "")
    assert "passwd" not in errors


def test_the_same_thing_is_told_once(make_stage, inboxes):
    inbox = inboxes()
    stage = make_stage(secrets={TEAMS: inbox.url})
    one, other = notification(), notification(key="failed i-2")
    assert notify(stage, one, one, other) == []
    assert notify(stage, one) == []
    assert len(inbox.messages) == 2
    assert [line["message"] for line in log(stage, "notify")].count("told already") == 2


def test_what_cannot_be_read_does_not_hold_up_the_others(make_stage, inboxes):
    inbox = inboxes()
    stage = make_stage(secrets={TEAMS: inbox.url})
    bodies = ["", "[]", '{"title":5}', '{"title":', notification()]
    assert notify(stage, *bodies) == [f"message-{number}" for number in (1, 2, 3, 4)]
    assert len(inbox.messages) == 1


def test_a_flood_comes_as_a_few_messages_and_nothing_is_left_out(make_stage, inboxes):
    teams, slack = inboxes(), inboxes()
    stage = make_stage(secrets={TEAMS: teams.url, SLACK: slack.url})
    pieces = [
        notification(title=f"Lost: job-{n:02}", key=f"{n}", url=job_url(n)) for n in range(40)
    ]
    for at in range(0, 40, 10):
        send_notifications(stage, pieces[at : at + 10])
    stage.poller("NotifyQueue").paused = False
    stage.poller("NotifyQueue").kick()
    assert until(lambda: stage.messages() == {})
    for inbox in (teams, slack):
        said = [json.dumps(message) for message in inbox.messages]
        assert len(said) == 4
        for n in range(40):
            assert sum(f"Lost: job-{n:02}" in text and job_url(n) in text for text in said) == 1


def test_many_jobs_that_wait_are_told_once(make_cloud, inboxes):
    inbox = inboxes()
    cloud = make_cloud(secrets={TEAMS: inbox.url})
    cloud.faults.add("ec2", "RunInstances", fault=Capacity())
    for _ in range(12):
        cloud.github.queue_job("octo-org/one", ["self-hosted", "linux"])
    assert until(lambda: cloud.messages() == {"ParkedQueue": 12})
    assert until(lambda: not cloud.hosts["scale-agent-notify"].busy)
    (message,) = inbox.messages
    title = message["attachments"][0]["content"]["body"][0]["text"]
    assert title == "Jobs of spec linux-x64 wait: no capacity"
